//! One error type for the library: what went wrong, whose fault it is, and what to do next.

use std::{
    fmt::Display,
    io::{self, ErrorKind},
};

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault an error is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wrong arguments or a wrong file: exit code 2.
    Usage,
    /// The lab itself could not run; never scored as a wrong answer: exit code 3.
    Lab,
    /// A program exceeded what can be observed: nothing is known about it, through its own fault: exit code
    /// 3.
    Excess,
    /// Another lab or network took a subnet; another one may be free: exit code 3.
    SubnetTaken,
    /// The user interrupted: exit code 130.
    Interrupted,
}

impl Kind {
    /// Returns the process's exit code for an error of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Lab | Self::Excess | Self::SubnetTaken => 3,
            Self::Interrupted => 130,
        }
    }
}

/// An error as shown to a user: a lower-case sentence without a full stop, which names what it is about, and
/// a hint if the user can do something about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Whose fault it is.
    pub kind: Kind,
    /// What went wrong.
    pub message: String,
    /// What to do about it, if anything.
    pub hint: Option<String>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// The user's arguments or files are wrong.
    pub fn usage(message: impl Display) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// The lab could not run.
    pub fn lab(message: impl Display) -> Self {
        Self::new(Kind::Lab, message)
    }

    /// A program exceeded what can be observed.
    pub fn excess(message: impl Display) -> Self {
        Self::new(Kind::Excess, message)
    }

    /// The lab could not get a subnet, because it is in use.
    pub fn subnet_taken(message: impl Display) -> Self {
        Self::new(Kind::SubnetTaken, message)
    }

    /// The user pressed ^C.
    pub fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted")
    }

    /// Formats the error with its causes, e.g. `cannot write x: no space left on device`.
    pub fn with_causes(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |e| e.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    fn new(kind: Kind, message: impl Display) -> Self {
        Self { kind, message: message.to_string(), hint: None, source: None }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }
}

/// Turns any failure into a lab error that says what was being done.
pub trait Context<T> {
    /// Reports that the lab could not do `what`.
    fn or_lab<M: Display>(self, what: impl FnOnce() -> M) -> Result<T>;
    /// Reports that `what` failed because of the user's input.
    fn or_usage<M: Display>(self, what: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Context<T> for Result<T, E> {
    fn or_lab<M: Display>(self, what: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|e| Error::lab(what()).caused_by(e))
    }
    fn or_usage<M: Display>(self, what: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|e| Error::usage(what()).caused_by(e))
    }
}

/// The same for writing files, where the error's kind decides whose fault it is.
pub trait FileContext<T> {
    /// A wrong name or place is the user's fault; a full, read-only or failing disk is nobody's.
    fn or_file<M: Display>(self, what: impl FnOnce() -> M) -> Result<T>;
}

impl<T> FileContext<T> for io::Result<T> {
    fn or_file<M: Display>(self, what: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|e| Error::new(fault(e.kind()), what()).caused_by(e))
    }
}

fn fault(kind: ErrorKind) -> Kind {
    match kind {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::AlreadyExists
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidData
        | ErrorKind::UnexpectedEof
        | ErrorKind::Other => Kind::Usage,
        _ => Kind::Lab,
    }
}
