//! Error messages in the C library's wording.

use std::io;

/// Returns strerror(3)'s message, e.g. `Broken pipe`, without the number that Rust appends.
pub fn strerror(error: impl Into<io::Error>) -> String {
    let mut words = error.into().to_string();
    if let Some(end) = words.rfind(" (os error ") {
        words.truncate(end);
    }
    words
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::strerror;

    #[test]
    fn errors_are_the_c_librarys_words() {
        assert_eq!(strerror(Errno::EPIPE), "Broken pipe");
        assert_eq!(strerror(Errno::EADDRINUSE), "Address already in use");
        assert_eq!(strerror(Errno::EAGAIN), "Resource temporarily unavailable");
        assert_eq!(strerror(std::io::Error::other("no such name")), "no such name");
    }
}
