//! Turns the engine's errors into netlab's.

use std::fmt::Display;

use bollard::errors::Error as Refusal;

use crate::{Error, Result};

/// Turns an engine's error into a lab error that says what was being done.
pub trait EngineContext<T> {
    /// Reports that the engine could not do `what`.
    fn or_engine<M: Display>(self, what: impl FnOnce() -> M) -> Result<T>;
    /// Like `or_engine`, but returns `None` if the object does not exist (any more).
    fn or_missing<M: Display>(self, what: impl FnOnce() -> M) -> Result<Option<T>>;
}

impl<T> EngineContext<T> for Result<T, Refusal> {
    fn or_engine<M: Display>(self, what: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|refusal| explain(what(), refusal))
    }

    fn or_missing<M: Display>(self, what: impl FnOnce() -> M) -> Result<Option<T>> {
        match self {
            Err(Refusal::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            // It is being removed already.
            Err(Refusal::DockerResponseServerError { status_code: 409, message })
                if message.contains("already in progress") =>
            {
                Ok(None)
            }
            other => other.or_engine(what).map(Some),
        }
    }
}

fn explain(what: impl Display, refusal: Refusal) -> Error {
    let error = Error::lab(what);
    match refusal {
        Refusal::DockerResponseServerError { message, .. } => {
            let error = error.caused_by(message.trim().to_owned());
            if message.contains("is not running") {
                error.hint("`netlab status` shows which hosts run")
            } else {
                error
            }
        }
        Refusal::DockerStreamError { error: message } => error.caused_by(message),
        Refusal::RequestTimeoutError => error.caused_by("the docker engine does not answer"),
        other => error.caused_by(root_cause(&other)),
    }
}

/// The innermost cause: the HTTP library's wrapping means nothing to a user.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
