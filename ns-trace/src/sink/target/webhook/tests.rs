//! Real servers over TLS, whose certificates are good or not.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    process,
    sync::Arc,
    thread::{self, JoinHandle},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd as date,
};
use rustls::{ServerConfig, ServerConnection, Stream, crypto::ring, pki_types::PrivateKeyDer};

use super::{super::Lines, *};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Authority::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A file with the certificates of authorities.
fn file(name: &str, text: &str) -> PathBuf {
    let path = env::temp_dir().join(format!("ns-trace-test-{}-{name}.pem", process::id()));
    fs::write(&path, text).unwrap();
    path
}

/// Answers one request, with the certificate that is described; returns its body.
fn server(
    by: &Authority,
    params: &CertificateParams,
    answer: &'static str,
) -> (SocketAddr, JoinHandle<io::Result<String>>) {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap().der().clone();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()));
    let mut connection = ServerConnection::new(Arc::new(config.unwrap())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let mut socket = listener.accept()?.0;
        let mut stream = BufReader::new(Stream::new(&mut connection, &mut socket));
        let (mut line, mut length) = (String::new(), 0);
        while stream.read_line(&mut line)? > 2 {
            if let Some(text) = line.to_lowercase().strip_prefix("content-length: ") {
                length = text.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let more = "Content-Length: 0\r\nConnection: close\r\nLocation: /\r\n\r\n";
        stream.get_mut().write_all(format!("HTTP/1.1 {answer}\r\n{more}").as_bytes())?;
        Ok(String::from_utf8(body).unwrap())
    });
    (address, thread)
}

fn named(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn post(url: String, ca_file: PathBuf) -> Result<(), String> {
    send(url, Some(ca_file)).map_err(|error| error.to_string())
}

fn send(url: String, ca_file: Option<PathBuf>) -> Result<(), Failure> {
    let mut lines = Lines::default();
    lines.push(1, b"{}\n");
    let mut webhook = Webhook::new(url, Duration::from_secs(30), None, ca_file);
    webhook.deliver(lines.all())
}

#[test]
fn who_is_vouched_for_gets_the_events() {
    let authority = authority();
    // Any of those in the file may vouch.
    let path = file("vouched", &(self::authority().pem() + &authority.pem()));
    for (name, host) in [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")] {
        let (address, server) = server(&authority, &named(&[name]), "204 No Content");
        post(format!("https://{host}:{}/events", address.port()), path.clone()).unwrap();
        assert_eq!(server.join().unwrap().unwrap(), "{}\n");
    }
    fs::remove_file(path).unwrap();
}

#[test]
fn who_is_not_is_refused_with_the_reason() {
    let authority = authority();
    let path = file("refused", &authority.pem());
    let old = {
        let mut params = named(&["localhost"]);
        (params.not_before, params.not_after) = (date(2001, 1, 1), date(2002, 1, 1));
        params
    };
    let new = {
        let mut params = named(&["localhost"]);
        (params.not_before, params.not_after) = (date(2901, 1, 1), date(2902, 1, 1));
        params
    };
    let stranger = self::authority();
    let cases = [
        (&stranger, named(&["localhost"]), "it is of no authority that is trusted here"),
        (&authority, old, "it was valid until 2002-01-01T00:00:00Z"),
        (&authority, new, "it is not valid before 2901-01-01T00:00:00Z"),
        (&authority, named(&["a.example", "127.0.0.1"]), "it is for a.example, 127.0.0.1 only"),
        (&authority, named(&[]), "it names no server (subjectAltName)"),
    ];
    for (by, params, why) in cases {
        let (address, server) = server(by, &params, "204 No Content");
        let at = format!("localhost:{}", address.port());
        let said = post(format!("https://a:b@{at}/"), path.clone()).unwrap_err();
        let expected = format!("the certificate of {at} is refused: {why}");
        assert!(said.starts_with(&expected), "{said} is not {expected}");
        // It has seen nothing of the events.
        server.join().unwrap().unwrap_err();
    }
    fs::remove_file(path).unwrap();
}

#[test]
fn an_answer_that_points_elsewhere_is_a_failure() {
    let authority = authority();
    let path = file("elsewhere", &authority.pem());
    let (address, server) = server(&authority, &named(&["localhost"]), "301 Moved Permanently");
    let at = format!("localhost:{}", address.port());
    let said = post(format!("https://{at}/"), path.clone()).unwrap_err();
    assert_eq!(said, format!("{at} answers 301 Moved Permanently"));
    server.join().unwrap().unwrap();
    fs::remove_file(path).unwrap();
}

#[test]
fn an_answer_says_whether_it_is_about_the_events() {
    for (answer, is_it) in [
        ("413 Content Too Large", (|why| matches!(why, Failure::TooLarge(_))) as fn(&_) -> _),
        ("400 Bad Request", |why| matches!(why, Failure::Refused(_))),
        ("422 Unprocessable Content", |why| matches!(why, Failure::Refused(_))),
        ("401 Unauthorized", |why| matches!(why, Failure::Io(_))),
        ("404 Not Found", |why| matches!(why, Failure::Io(_))),
        ("408 Request Timeout", |why| matches!(why, Failure::Io(_))),
        ("429 Too Many Requests", |why| matches!(why, Failure::Io(_))),
        ("503 Service Unavailable", |why| matches!(why, Failure::Io(_))),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            reader.read_exact(&mut [0; 3]).unwrap();
            let more = "Content-Length: 0\r\nConnection: close\r\n\r\n";
            reader.get_mut().write_all(format!("HTTP/1.1 {answer}\r\n{more}").as_bytes()).unwrap();
        });
        let why = send(format!("http://{at}/"), None).unwrap_err();
        server.join().unwrap();
        assert!(is_it(&why), "{why:?}");
        let (code, _) = answer.split_once(' ').unwrap();
        assert!(why.to_string().starts_with(&format!("{at} answers {code} ")), "{why}");
    }
}

#[test]
fn what_speaks_no_tls_is_said() {
    let path = file("plain", &authority().pem());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until it hears that this is not understood.
        drop(socket.read_to_end(&mut Vec::new()));
    });
    let said = post(format!("https://{at}/"), path.clone()).unwrap_err();
    assert!(said.starts_with(&format!("there is no TLS with {at}: ")), "{said}");
    server.join().unwrap();
    fs::remove_file(path).unwrap();
}

#[test]
fn a_file_of_authorities_is_read_as_a_whole() {
    let good = authority().pem();
    let path = file("whole", &(good.clone() + "text between\n" + &good));
    assert_eq!(authorities(&path).unwrap().len(), 2);
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, what) in [
        (good + bad, "certificate 2 in "),
        (String::new(), "has no certificate (PEM)"),
        (KeyPair::generate().unwrap().serialize_pem(), "has no certificate (PEM)"),
    ] {
        fs::write(&path, text).unwrap();
        let said = authorities(&path).unwrap_err();
        assert!(said.contains(what) && said.contains(path.to_str().unwrap()), "{said}");
    }
    fs::remove_file(&path).unwrap();
    assert!(authorities(&path).unwrap_err().starts_with("cannot read "));
}

#[test]
fn a_url_is_one_of_a_server() {
    for url in ["http://a", "https://a:1/b?c", "http://[::1]:8080/", "https://a:b@c/"] {
        check_url(url).unwrap();
    }
    for url in ["", "a", "http://", "https:///b", "http:// a", "ftp://a", "https://a:b:c"] {
        assert!(check_url(url).unwrap_err().ends_with(&format!("found `{url}`")), "{url}");
    }
}
