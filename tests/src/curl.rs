//! REST through curl: a client that is not ours.

use std::process::Command;

use serde_json::Value;
use tempfile::TempPath;

use crate::secrets;
use crate::users::User;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header lines in lower case.
    pub headers: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// `data` of the envelope.
    #[must_use]
    pub fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    /// `message` of the envelope.
    #[must_use]
    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Notes the secrets that were asked for; any other answer must tell none.
    ///
    /// # Panics
    /// If it tells one.
    pub(crate) fn has_been_seen(&self, url: &str) {
        let is_secrets = url.split('?').next().is_some_and(|path| path.ends_with("/secrets"));
        if is_secrets && self.status == 200 {
            secrets::used_in_answer(&self.body);
        } else {
            secrets::assert_untold(
                &format!("the answer of {url}"),
                &format!("{}\n{}", self.headers, self.body),
            );
        }
    }

    /// Whether a header line is there, such as `content-type: application/json`.
    #[must_use]
    pub fn has_header(&self, line: &str) -> bool {
        self.headers.lines().any(|header| header == line)
    }
}

/// A request; certificates of the server are not checked.
#[derive(Debug)]
pub struct Request {
    command: Command,
    url: String,
    /// Removed when the request is.
    body: Option<TempPath>,
}

impl Request {
    /// A request of the given method.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        let mut command = Command::new("curl");
        // --path-as-is: what is asked for is what is sent. No proxy: loopback only.
        command.args([
            "--silent",
            "--show-error",
            "--insecure",
            "--include",
            "--noproxy",
            "*",
            "--path-as-is",
            "--max-time",
            "60",
        ]);
        if method == "HEAD" {
            command.arg("--head");
        } else {
            command.args(["--request", method]);
        }
        command.arg(url);
        Self { command, url: url.to_owned(), body: None }
    }

    /// GET.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// POST with a body.
    #[must_use]
    pub fn post(url: &str, body: impl AsRef<[u8]>) -> Self {
        secrets::used_in_request(url, body.as_ref());
        let mut request = Self::new("POST", url);
        let file = tempfile::NamedTempFile::new().expect("making a body file").into_temp_path();
        std::fs::write(&file, body).expect("writing the body");
        request.command.arg("--data-binary").arg(format!("@{}", file.display()));
        request.body = Some(file);
        request
    }

    /// With a user's certificate.
    #[must_use]
    pub fn as_user(mut self, user: &User) -> Self {
        self.command.arg("--cert").arg(&user.certificate_file).arg("--key").arg(&user.key_file);
        self
    }

    /// With any further option of curl.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.command.arg(option);
        self
    }

    /// Sends it. Secrets of the answer are noted; an answer that should hold none is searched for those used so far.
    ///
    /// # Panics
    /// If curl fails, or if the answer tells a secret; a status of any kind is no failure.
    #[must_use]
    pub fn send(mut self) -> Answer {
        let text = crate::succeed(&mut self.command);
        drop(self.body.take());
        let answer = answer(&text).expect("an answer has a head and a status");
        answer.has_been_seen(&self.url);
        answer
    }

    /// Sends it to a server that may end meanwhile: `None` if no whole answer comes.
    #[must_use]
    pub fn attempt(mut self) -> Option<Answer> {
        let output = crate::run(&mut self.command);
        drop(self.body.take());
        let text = String::from_utf8_lossy(&output.stdout);
        let answer = answer(&text).filter(|_| output.status.success())?;
        answer.has_been_seen(&self.url);
        Some(answer)
    }
}

/// Skips interim answers such as `100 Continue`.
fn answer(text: &str) -> Option<Answer> {
    let mut rest = text;
    loop {
        let (head, body) = rest.split_once("\r\n\r\n")?;
        let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok())?;
        if status < 200 {
            rest = body;
            continue;
        }
        return Some(Answer {
            status,
            headers: head.to_lowercase().replace('\r', ""),
            body: body.to_owned(),
        });
    }
}
