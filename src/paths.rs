//! Paths in JSON. A path need not be UTF-8, but JSON is.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path in JSON: text, or its bytes if it is not UTF-8.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes(Vec<u8>),
}

/// For `serde(with)`, where exactly the same path must be read back.
pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    let written = match path.to_str() {
        Some(text) => Written::Text(text.to_owned()),
        None => Written::Bytes(path.as_os_str().as_bytes().to_owned()),
    };
    written.serialize(to)
}

/// The counterpart of [`serialize`].
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    Ok(match Written::deserialize(from)? {
        Written::Text(text) => text.into(),
        Written::Bytes(bytes) => OsString::from_vec(bytes).into(),
    })
}

/// For `serde(serialize_with)`, for people and their scripts: always text.
pub fn as_text<S: Serializer>(path: impl AsRef<Path>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.as_ref().to_string_lossy())
}

/// The same for a path that may be missing.
#[allow(clippy::ref_option, reason = "serde's signature")]
pub fn as_text_if_any<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Both {
        #[serde(with = "super")]
        same: PathBuf,
        #[serde(serialize_with = "as_text")]
        shown: PathBuf,
        #[serde(default, serialize_with = "as_text_if_any")]
        perhaps: Option<PathBuf>,
    }

    #[test]
    fn a_path_that_is_not_utf_8_comes_back_as_it_was() {
        for bytes in [&b"/home/ana/practica"[..], b"/home/ana/pr\xe1ctica", b""] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_owned()));
            let both = Both { same: path.clone(), shown: path.clone(), perhaps: Some(path.clone()) };
            let text = serde_json::to_string(&both).unwrap();
            let read: Both = serde_json::from_str(&text).unwrap();
            assert_eq!(read.same, path);
            assert_eq!(read.shown, Path::new(&*path.to_string_lossy()));
            assert_eq!(read.perhaps, Some(read.shown));
        }
    }
}
