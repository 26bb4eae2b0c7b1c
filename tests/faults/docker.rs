//! Queries the engine without netlab: what it has of a lab.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::Value;

/// The socket of this machine's engine.
pub const SOCKET: &str = "/var/run/docker.sock";

/// Sends a request to the engine and returns its answer.
pub fn ask(method: &str, path: &str) -> Value {
    request(method, path, "")
}

/// Makes it create something.
pub fn post(path: &str, body: &Value) {
    request("POST", path, &body.to_string());
}

fn request(method: &str, path: &str, body: &str) -> Value {
    request_at(Path::new(SOCKET), method, path, body)
}

fn request_at(socket: &Path, method: &str, path: &str, body: &str) -> Value {
    let mut engine = UnixStream::connect(socket).unwrap();
    // In this version, the answer ends with the connection.
    let head = format!("{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\n");
    write!(engine, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    engine.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
    serde_json::from_str(body).unwrap_or(Value::Null)
}

/// Returns the field `what` of each of the engine's objects of that kind that belong to a lab.
pub fn names(kind: &str, lab: &str, what: &str) -> Vec<String> {
    names_at(Path::new(SOCKET), kind, lab, what)
}

/// The same for an engine at another socket.
pub fn names_at(socket: &Path, kind: &str, lab: &str, what: &str) -> Vec<String> {
    let filter = format!("%7B%22label%22%3A%5B%22netlab.lab%3D{lab}%22%5D%7D");
    let path = format!("/{kind}{}?all=1&filters={filter}", if kind == "containers" { "/json" } else { "" });
    let answer = request_at(socket, "GET", &path, "");
    let rows = answer.get("Volumes").unwrap_or(&answer).as_array().cloned().unwrap_or_default();
    let text = |row: Value| {
        let field = if kind == "containers" && what == "Name" { &row["Names"][0] } else { &row[what] };
        field.as_str().unwrap_or_default().to_owned()
    };
    rows.into_iter().map(text).collect()
}

/// Returns whether an engine answers there.
pub fn answers(socket: &Path) -> bool {
    let Ok(mut engine) = UnixStream::connect(socket) else { return false };
    let mut answer = String::new();
    let asked = engine.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n");
    asked.is_ok() && engine.read_to_string(&mut answer).is_ok() && answer.contains("200 OK")
}

/// Writes an image of this machine's engine to a file.
pub fn save(image: &str, file: &Path) {
    let mut engine = UnixStream::connect(SOCKET).unwrap();
    write!(engine, "GET /images/{image}/get HTTP/1.0\r\nHost: docker\r\n\r\n").unwrap();
    let mut answer = BufReader::new(engine);
    let mut line = String::new();
    while answer.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    io::copy(&mut answer, &mut File::create(file).unwrap()).unwrap();
}

/// Loads it into the engine at that socket.
pub fn load(socket: &Path, file: &Path) {
    let mut engine = UnixStream::connect(socket).unwrap();
    let mut image = File::open(file).unwrap();
    let length = image.metadata().unwrap().len();
    let head = "POST /images/load?quiet=1 HTTP/1.0\r\nHost: docker\r\nContent-Type: application/x-tar";
    write!(engine, "{head}\r\nContent-Length: {length}\r\n\r\n").unwrap();
    io::copy(&mut image, &mut engine).unwrap();
    let mut answer = String::new();
    engine.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("200 OK") && answer.contains("Loaded"), "{answer}");
}
