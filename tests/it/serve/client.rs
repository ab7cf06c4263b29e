//! The service as a process, and a client that sends what it is told to the letter.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Workspace, command};

/// A running service; it is killed at the end.
pub struct Served {
    child: Child,
    address: String,
}

/// What it answers.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {} {text}", self.status))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Served {
    /// Starts the service in a folder, on a port that is free.
    pub fn start(workspace: &Workspace, arguments: &[&str]) -> Self {
        let words = [
            &["-q", "serve"],
            arguments,
            &["--bind", "127.0.0.1:0", "--device", "cpu"],
        ];
        let mut child = command(words.concat())
            .current_dir(workspace.path(""))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("an address");
        let (_, address) = line
            .split_once("http://")
            .unwrap_or_else(|| panic!("no address: {line}"));
        let address = address.split('/').next().expect("an address").to_owned();
        Self { child, address }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let kind = ("Content-Type", "application/json");
        self.send("POST", path, &[kind], body.to_string().as_bytes())
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if headers.iter().all(|(name, _)| *name != "Host") {
            request += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n", body.len());
        self.exchange(&[request.as_bytes(), body].concat(), false)
            .expect("an answer")
    }

    /// Sends bytes and says that there are no more; `None` where the service closes without an answer.
    pub fn raw(&self, request: &[u8]) -> Option<Answer> {
        self.exchange(request, true)
    }

    fn exchange(&self, request: &[u8], ends: bool) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a time limit");
        // It may answer, and close, before it has read all.
        let _ = stream.write_all(request);
        if ends {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let end = all.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        Some(Answer {
            status,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: all.split_off(end + 4),
        })
    }

    /// Asks until what is computed beside is done.
    pub fn until_done(&self, path: &str) -> Value {
        let begun = Instant::now();
        loop {
            let answer = self.get(path).json();
            if answer["status"] == "done" {
                return answer;
            }
            assert_eq!(answer["status"], "computing", "{answer}");
            assert!(begun.elapsed() < Duration::from_secs(60), "{path}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Ends it as a process manager does; returns its exit code.
    pub fn stop(mut self) -> Option<i32> {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &process]).status();
        assert!(sent.expect("kill starts").success());
        self.child.wait().expect("an end").code()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a state").is_none()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
