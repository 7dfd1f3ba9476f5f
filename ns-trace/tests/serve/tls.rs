//! A webhook over TLS: a real server hears from a collector that has given up its privileges, once an
//! authority that is trusted vouches for it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use rustls::{ServerConfig, ServerConnection, Stream, crypto::ring, pki_types::PrivateKeyDer};

use super::{Collector, Test, eventually, make};
use crate::{
    context::Room,
    tracer::{PATIENCE, program},
};

pub(super) const TRIALS: [(&str, Test); 1] =
    [("serve::tls::a_webhook_hears_of_events_once_it_is_vouched_for", vouched)];

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Result<Authority> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(Authority::self_signed(params, KeyPair::generate()?)?)
}

/// A server at localhost; it ends with this.
struct Server {
    address: SocketAddr,
    taken: Arc<Taken>,
    thread: Option<JoinHandle<()>>,
}

/// The requests that it has understood so far; `None` once it is to end.
#[derive(Default)]
struct Taken(Mutex<Option<Vec<String>>>);

impl Taken {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    fn start(by: &Authority) -> Result<Self> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, by)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )?;
        let config = Arc::new(config);
        let listener = TcpListener::bind("localhost:0")?;
        let address = listener.local_addr()?;
        let taken = Arc::new(Taken(Mutex::new(Some(Vec::new()))));
        let ours = Arc::clone(&taken);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                // Whoever does not trust it goes away.
                let request = stream.map_err(Into::into).and_then(|stream| take(&config, &stream));
                match &mut *ours.lock() {
                    Some(taken) => taken.extend(request),
                    None => return,
                }
            }
        });
        Ok(Self { address, taken, thread: Some(thread) })
    }

    /// Whether a request for `path` has told of the making of a namespace.
    fn has_heard(&self, path: &str, inode: u64) -> bool {
        let (start, part) = (format!("POST {path} "), format!("\"inode\":{inode},"));
        let taken = self.taken.lock();
        let requests = taken.iter().flatten();
        requests.into_iter().any(|text| text.starts_with(&start) && text.contains(&part))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.taken.lock() = None;
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            drop(thread.join());
        }
    }
}

/// Takes one request.
fn take(config: &Arc<ServerConfig>, socket: &TcpStream) -> Result<String> {
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut connection = ServerConnection::new(Arc::clone(config))?;
    let mut socket = socket;
    let mut reader = BufReader::new(Stream::new(&mut connection, &mut socket));
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let start = text.len();
        if reader.read_line(&mut text)? <= 2 {
            break;
        }
        let line = text.split_at(start).1.to_lowercase();
        if let Some(number) = line.strip_prefix("content-length: ") {
            length = number.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    text.push_str(&String::from_utf8(body)?);
    let answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    reader.get_mut().write_all(answer)?;
    Ok(text)
}

fn vouched(room: &Room) -> Result<()> {
    let (authority, stranger) = (authority()?, authority()?);
    let server = Server::start(&authority)?;
    let name = format!("ns-trace-test-{}-tls", std::process::id());
    let place = std::env::temp_dir().join(name);
    fs::create_dir(&place)?;
    let (own, installed) = (place.join("own.pem"), place.join("installed.pem"));
    fs::write(&own, stranger.pem())?;
    fs::write(&installed, authority.pem())?;
    let at = format!("localhost:{}", server.address.port());
    let sink = |name: &str| {
        let common = "[[sink]]\ntype = \"webhook\"\nevents = [\"create\"]\n";
        format!("{common}name = \"{name}\"\nurl = \"https://{at}/{name}\"\n")
    };
    let config = format!("{}ca_file = \"{}\"\n{}", sink("own"), own.display(), sink("installed"));
    let mut collector = Collector::start(room, &config)?;
    let first = make(collector.tracer()?)?;
    let said = |what: &str| Ok(collector.tracer()?.has_said(what));
    let refused = format!("sink `own`: the certificate of {at} is refused: it is of no authority");
    eventually("the stranger is refused", || said(&refused))?;
    ensure!(!server.has_heard("/own", first), "it has heard of what it must not");
    // The file is read again for each attempt.
    fs::write(&own, authority.pem())?;
    eventually("the server hears of it", || Ok(server.has_heard("/own", first)))?;
    eventually("it is said", || said("sink `own`: works again"))?;
    ensure!(!server.has_heard("/installed", first), "the system does not trust it");
    let ended = collector.end(Signal::TERM)?;
    ensure!(!ended.stderr.contains("system calls"), "{}", ended.stderr);
    let mut command = Command::new(program());
    command.env("SSL_CERT_FILE", &installed);
    collector.run_as(command)?;
    let second = make(collector.tracer()?)?;
    for inode in [first, second] {
        for path in ["/own", "/installed"] {
            eventually("all hear of all", || Ok(server.has_heard(path, inode)))
                .with_context(|| format!("{path} of {inode}"))?;
        }
    }
    collector.finish()?;
    fs::remove_dir_all(place)?;
    Ok(())
}
