//! Requests that nobody should send: each is refused, none ends the service or makes it fail.

use std::fs;

use serde_json::json;

use super::FIRST;
use super::client::Served;
use crate::support::Workspace;

/// Addresses that ask for what there is not.
const PATHS: [&str; 44] = [
    "/api/v1/search",
    "/api/v1/search?id=",
    "/api/v1/search?id=,,,",
    "/api/v1/search?id=%00",
    "/api/v1/search?id=%ff%fe",
    "/api/v1/search?id=-1",
    "/api/v1/search?id=18446744073709551616",
    "/api/v1/search?id=ID&limit=0",
    "/api/v1/search?id=ID&limit=-1",
    "/api/v1/search?id=ID&limit=10001",
    "/api/v1/search?id=ID&limit=18446744073709551615&offset=18446744073709551615",
    "/api/v1/search?id=ID&offset=10000",
    "/api/v1/search?id=ID&from=light",
    "/api/v1/search?id=ID&to=IMAGE",
    "/api/v1/search?id=ID&more=1",
    "/api/v1/search?id=ID&without=none",
    "/api/v1/search?id=ID&without=ID,",
    "/api/v1/search?id=ID&filters=redshift",
    "/api/v1/search?id=ID&filters=redshift:1",
    "/api/v1/search?id=ID&filters=redshift:2..1",
    "/api/v1/search?id=ID&filters=redshift:NaN..",
    "/api/v1/search?id=ID&filters=no-such:1..2",
    "/api/v1/search?id=ID&filters=:..",
    "/api/v1/galaxies",
    "/api/v1/galaxies?ids",
    "/api/v1/galaxies/none",
    "/api/v1/galaxies/..%2f..%2fetc%2fpasswd",
    "/api/v1/galaxies/%2e%2e/info",
    "/api/v1/galaxies/ID/image.png?brightness=NaN",
    "/api/v1/galaxies/ID/image.png?softening=0",
    "/api/v1/galaxies/ID/image.png?size=0",
    "/api/v1/galaxies/ID/image.png?size=-5",
    "/api/v1/galaxies/ID/spectrum?bins=0",
    "/api/v1/galaxies/ID/nothing",
    "/api/v1/near?ra=1",
    "/api/v1/near?ra=inf&dec=0",
    "/api/v1/near?ra=0&dec=91",
    "/api/v1/near?ra=0&dec=0&radius=-1",
    "/api/v1/map",
    "/api/v1/map?of=sound",
    "/api/v1/columns/none",
    "/api/v1/unusual?of=image&limit=0",
    "/../../etc/passwd",
    "/main.rs",
];

/// Bodies that are no search.
fn bodies() -> Vec<String> {
    let width = 1 << 15;
    let mut bodies: Vec<String> = [
        "",
        "{",
        "[]",
        "null",
        "3",
        "\"id\"",
        "{}",
        "{\"ids\":[]}",
        "{\"ids\":[3]}",
        "{\"ids\":\"ID\"}",
        "{\"ids\":[\"\"]}",
        "{\"ids\":[\"none\"]}",
        "{\"vector\":[]}",
        "{\"vector\":[1]}",
        "{\"vector\":[\"a\"]}",
        "{\"vector\":null}",
        "{\"vector\":[1e39]}",
        "{\"ids\":[\"ID\"],\"vector\":[1]}",
        "{\"ids\":[\"ID\"],\"limit\":1.5}",
        "{\"ids\":[\"ID\"],\"limit\":-3}",
        "{\"ids\":[\"ID\"],\"limit\":1e30}",
        "{\"ids\":[\"ID\"],\"from\":null}",
        "{\"ids\":[\"ID\"],\"filters\":{}}",
        "{\"ids\":[\"ID\"],\"filters\":[{}]}",
        "{\"ids\":[\"ID\"],\"filters\":[{\"column\":\"redshift\",\"min\":3,\"max\":2}]}",
        "{\"ids\":[\"ID\"],\"unknown\":true}",
        "{\"without\":[\"ID\"]}",
        "\u{0}\u{1}",
        "{\"ids\":[\"\\ud800\"]}",
    ]
    .map(str::to_owned)
    .to_vec();
    bodies.push(json!({"vector": vec![0.0; width]}).to_string());
    bodies.push(json!({"ids": vec![FIRST; 1001]}).to_string());
    bodies.push("[".repeat(100_000));
    bodies
}

/// Files that are no galaxy.
fn files(cutout: &[u8]) -> Vec<Vec<u8>> {
    let card = |text: &str| format!("{text:<80}").into_bytes();
    let huge: Vec<u8> = [
        "SIMPLE  =                    T",
        "BITPIX  =                  -32",
        "NAXIS   =                    3",
        "NAXIS1  =               100000",
        "NAXIS2  =               100000",
        "NAXIS3  =                    3",
        "END",
    ]
    .iter()
    .flat_map(|line| card(line))
    .collect();
    let mut files: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"SIMPLE  =".to_vec(),
        [huge, vec![b' '; 2880]].concat(),
        b"\x89HDF\r\n\x1a\n".to_vec(),
        [&b"\x89HDF\r\n\x1a\n"[..], &[0xff; 512]].concat(),
        b"PAR1garbagePAR1".to_vec(),
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03garbage".to_vec(),
        b"BZh91AY&SY".to_vec(),
        b"wavelength,flux\n".to_vec(),
        b"wavelength,flux\n1,2\n".to_vec(),
        b"wavelength,flux\n4000,1\n4001,x\n".to_vec(),
        b"wavelength,flux\n4001,1\n4000,1\n3999,1\n".to_vec(),
        b"wavelength,flux\n1e308,1\n1e309,1\n".to_vec(),
        b"wavelength,flux\nNaN,1\nNaN,1\n".to_vec(),
        b"wavelength,flux\n4000,NaN\n4001,NaN\n".to_vec(),
        b"flux\n1\n2\n".to_vec(),
        b"a,b\n1,2\n".to_vec(),
        "\u{feff}wavelength;flux\n1;2\n".into(),
        b"<html></html>".to_vec(),
        vec![0; 4096],
        vec![b'9'; 100_000],
        b"wavelength,flux\n\"4000,1\n".to_vec(),
    ];
    // Cutouts with bytes that are others, and cut off.
    for step in 1..=40 {
        let mut damaged = cutout.to_vec();
        let at = (step * 7919) % 2880;
        damaged[at] = damaged[at].wrapping_add(step as u8);
        files.push(damaged);
        files.push(cutout[..cutout.len() * step / 41].to_vec());
    }
    files
}

#[test]
fn no_request_makes_the_service_fail() {
    let workspace = Workspace::with_embeddings();
    let mut served = Served::start(&workspace, &["emb.h5"]);
    let mut sent = 0;
    let mut refused = 0;
    let mut look = |what: &str, status: u16| {
        assert!(
            (200..500).contains(&status) && status != 408,
            "{what}: {status}"
        );
        sent += 1;
        refused += usize::from(status >= 400);
    };
    for path in PATHS {
        let status = served.get(&path.replace("ID", FIRST)).status;
        assert!(status >= 400, "{path}: {status}");
        look(path, status);
    }
    let json = ("Content-Type", "application/json");
    for body in bodies() {
        for path in ["/api/v1/search", "/api/v1/galaxies", "/api/v1/export"] {
            let body = body.replace("ID", FIRST);
            let status = served.send("POST", path, &[json], body.as_bytes()).status;
            look(&body[..body.len().min(60)], status);
        }
    }
    let cutout = served
        .get(&format!("/api/v1/galaxies/{FIRST}/image.fits"))
        .body;
    for file in files(&cutout) {
        let answer = served.send("POST", "/api/v1/upload?name=..%2f..%2fx.fits", &[], &file);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("/tmp") && !text.contains(".."), "{text}");
        look(
            &String::from_utf8_lossy(&file[..file.len().min(60)]),
            answer.status,
        );
    }
    for (method, path) in [
        ("PUT", "/"),
        ("DELETE", "/api/v1/info"),
        ("PATCH", "/api/v1/search"),
        ("POST", "/cone"),
        ("BREW", "/"),
    ] {
        look(method, served.send(method, path, &[], b"").status);
    }
    let too_large = vec![b'1'; (16 << 20) + 1];
    look(
        "a large upload",
        served
            .send("POST", "/api/v1/upload", &[], &too_large)
            .status,
    );
    look(
        "a large body",
        served
            .send("POST", "/api/v1/search", &[json], &too_large[..2 << 20])
            .status,
    );
    for request in [
        &b"GET / HTTP/1.1\r\n\r\n"[..], b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: nine\r\n\r\n",
        b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
        b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /api/v1/search?id=\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        // One that is no HTTP need not be answered.
        if let Some(answer) = served.raw(request) {
            look(&String::from_utf8_lossy(request), answer.status);
        }
    }
    assert!(
        sent > 200 && refused > 150,
        "{sent} requests, {refused} refused"
    );
    assert!(served.runs());
    assert_eq!(
        served.get(&format!("/api/v1/search?id={FIRST}")).status,
        200
    );
    assert!(!fs::exists(workspace.path("x.fits")).unwrap());
    assert_eq!(served.stop(), Some(0));
}
