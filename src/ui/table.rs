//! Plain tables with aligned columns and no frame, easy to cut and grep.

use comfy_table::{Table, presets};
use netlab::printable::visible;

/// Returns a table with a heading and one line per row, ending in a line feed.
pub fn table<const N: usize>(heading: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heading.map(str::to_uppercase));
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| visible(&cell))));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
