/* Multiplies without end, and so does each copy. */
#include <unistd.h>

int main(void)
{
    for (;;)
        fork();
}
