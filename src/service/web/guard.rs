//! Who may ask: the token, the names of this machine, and what browsers are told to keep away.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use sha2::{Digest, Sha256};

use super::refusal::Refusal;

/// The cookie that keeps the token for the page.
const COOKIE: &str = "astroclip_token";
/// How the address of the page hands the token over, once.
const PARAMETER: &str = "token=";

/// What the answers to a browser say of themselves: nothing from elsewhere, and no guesses at types.
const HEADERS: [(header::HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Who may ask.
pub struct Guard {
    token: Option<String>,
    /// On loopback no other host is meant: a page elsewhere whose name was made to lead here asks by its own.
    is_loopback: bool,
}

impl Guard {
    pub fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self {
            token,
            is_loopback: address.ip().is_loopback(),
        }
    }

    fn is_meant(&self, headers: &HeaderMap) -> bool {
        if !self.is_loopback || self.token.is_some() {
            return true;
        }
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        host.is_none_or(is_this_machine)
    }

    /// Whether a request shows the token.
    fn is_let_in(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let text = |name: header::HeaderName| headers.get(name)?.to_str().ok();
        let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let cookies = headers.get_all(header::COOKIE).into_iter();
        let cookies = cookies.filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(|value| value.split(';'));
        let cookie = cookies.find_map(|cookie| {
            let (name, value) = cookie.trim().split_once('=')?;
            (name == COOKIE).then_some(value)
        });
        bearer.is_some_and(|shown| is_same(shown, token))
            || cookie.is_some_and(|shown| is_same(shown, token))
    }

    /// The answer to an address that hands the token over: the page without it, and the cookie.
    fn handed_over(&self, request: &Request) -> Option<Response<Body>> {
        let token = self.token.as_ref()?;
        let parameters = request.uri().query()?.split('&');
        let shown = parameters
            .filter_map(|one| one.strip_prefix(PARAMETER))
            .next()?;
        if request.uri().path() != "/" || !is_same(shown, token) {
            return None;
        }
        let cookie = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/");
        let headers = [
            (header::LOCATION, "/".to_owned()),
            (header::SET_COOKIE, cookie),
        ];
        Some((StatusCode::SEE_OTHER, headers).into_response())
    }
}

/// Lets requests through that may ask.
pub async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let mut answer = if !guard.is_meant(request.headers()) {
        Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this service is asked as localhost or 127.0.0.1 only",
        )
        .into_answer()
    } else if let Some(answer) = guard.handed_over(&request) {
        answer
    } else if guard.is_let_in(request.headers()) {
        next.run(request).await
    } else {
        let mut answer = Refusal::new(
            StatusCode::UNAUTHORIZED,
            "a token is needed: open /?token=TOKEN once in a browser, or send the header `Authorization: Bearer TOKEN`",
        )
        .into_answer();
        let scheme = HeaderValue::from_static("Bearer");
        answer
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
        answer
    };
    for (name, value) in HEADERS {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Whether a host, with or without port, names this machine.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether two secrets are the same, in a time that does not tell how much of them is.
fn is_same(shown: &str, token: &str) -> bool {
    Sha256::digest(shown) == Sha256::digest(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "[::1]:8080",
            "[::1]",
            "127.9.0.1",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "example.org",
            "localhost.example.org:80",
            "10.0.0.1",
            "",
            "[::2]:80",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
