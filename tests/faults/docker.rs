//! The engine, asked without netlab: what it has of a lab.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use serde_json::Value;

/// Where this machine's engine listens.
pub const SOCKET: &str = "/var/run/docker.sock";

/// Asks the engine, and gives its answer.
pub fn ask(method: &str, path: &str) -> Value {
    request(method, path, "")
}

/// Has it make something.
pub fn post(path: &str, body: &Value) {
    request("POST", path, &body.to_string());
}

fn request(method: &str, path: &str, body: &str) -> Value {
    let mut engine = UnixStream::connect(SOCKET).unwrap();
    // Of this version, the answer ends with the connection.
    let head = format!("{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\n");
    write!(engine, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    engine.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
    serde_json::from_str(body).unwrap_or(Value::Null)
}

/// What the engine has of a lab, of that kind; what is asked for of each.
pub fn names(kind: &str, lab: &str, what: &str) -> Vec<String> {
    let filter = format!("%7B%22label%22%3A%5B%22netlab.lab%3D{lab}%22%5D%7D");
    let answer = ask(
        "GET",
        &format!("/{kind}{}?all=1&filters={filter}", if kind == "containers" { "/json" } else { "" }),
    );
    let rows = answer.get("Volumes").unwrap_or(&answer).as_array().cloned().unwrap_or_default();
    let text = |row: Value| {
        let field = if kind == "containers" && what == "Name" { &row["Names"][0] } else { &row[what] };
        field.as_str().unwrap_or_default().to_owned()
    };
    rows.into_iter().map(text).collect()
}
