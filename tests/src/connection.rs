//! A kept connection over `openssl s_client`: many requests without a handshake each, by a client that is not ours.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::coordinator::Coordinator;
use crate::curl::Answer;
use crate::secrets;
use crate::users::User;

/// HTTP/1.1, one request after the other. Ends with this value.
#[derive(Debug)]
pub struct Connection {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Connection {
    /// Opens one, with a user's certificate (or a Marble's) or without.
    ///
    /// # Panics
    /// If openssl cannot be started.
    #[must_use]
    pub fn open(coordinator: &Coordinator, user: Option<&User>) -> Self {
        let mut command = Command::new("openssl");
        // Quiet: what is read is what the server sent. No commands: what is written is what it gets.
        command.args(["s_client", "-quiet", "-nocommands", "-alpn", "http/1.1"]);
        command.args(["-connect", &coordinator.rest.to_string()]);
        if let Some(user) = user {
            command.arg("-cert").arg(&user.certificate_file).arg("-key").arg(&user.key_file);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("starting openssl");
        let input = process.stdin.take().expect("its input is a pipe");
        let output = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        Self { process, input, output }
    }

    /// GET.
    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    /// Sends a request and reads its answer.
    ///
    /// # Panics
    /// If the connection breaks.
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        secrets::used_in_request(path, body.as_bytes());
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
        self.input
            .write_all(request.as_bytes())
            .and_then(|()| self.input.flush())
            .expect("sending a request");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.output.read_line(&mut head).expect("reading an answer");
            assert!(read > 0, "the connection was closed after {head:?}");
        }
        let headers = head.to_lowercase().replace('\r', "");
        let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.expect("an answer has a length")];
        self.output.read_exact(&mut body).expect("reading an answer's body");
        let body = String::from_utf8(body).expect("an answer is text");
        let answer = Answer { status: status.expect("an answer has a status"), headers, body };
        answer.has_been_seen(path);
        answer
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
