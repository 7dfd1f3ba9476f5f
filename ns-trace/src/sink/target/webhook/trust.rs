//! Who a server is, over TLS: whom it takes to vouch for that, and what is wrong with who does not pass.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use jiff::Timestamp;
use rustls::{
    CertificateError, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime, pem::PemObject as _},
};
use rustls_native_certs::load_native_certs;
use ureq::tls::{Certificate, TlsConfig};

/// More bytes than the certificates of all authorities take.
const MOST: u64 = 16 << 20;

/// TLS that trusts the authorities in a file, or else those that the system trusts.
pub(super) fn config(file: Option<&Path>) -> io::Result<TlsConfig> {
    let found = match file {
        Some(file) => authorities(file).map_err(io::Error::other)?,
        None => installed()?,
    };
    let roots = found.iter().map(|der| Certificate::from_der(der).to_owned());
    let config = TlsConfig::builder().root_certs(roots.collect::<Vec<_>>().into());
    Ok(config.unversioned_rustls_crypto_provider(Arc::new(ring::default_provider())).build())
}

/// The certificates of the authorities in a file (PEM).
///
/// # Errors
///
/// Why there are none, or which of them is none.
pub fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let path = file.display();
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot read {path}: {error}"))?;
    let mut found = Vec::new();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&bytes)) {
        let broken = |why: String| format!("certificate {number} in {path} cannot be read: {why}");
        let certificate = certificate.map_err(|error| broken(error.to_string()))?;
        let added = RootCertStore::empty().add(certificate.clone());
        added.map_err(|error| broken(error.to_string()))?;
        found.push(certificate);
    }
    if found.is_empty() {
        return Err(format!("{path} has no certificate (PEM)"));
    }
    Ok(found)
}

/// Those that the system trusts.
fn installed() -> io::Result<Vec<CertificateDer<'static>>> {
    let found = load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        let what = "the system has no certificates of authorities (package ca-certificates), and no \
                    `ca_file` is named";
        return Err(io::Error::other(format!("{what}{why}")));
    }
    Ok(found.certs)
}

/// What a request to a server has failed by.
pub(super) fn told(error: ureq::Error, server: &str) -> io::Error {
    let tls = match &error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|error| error.downcast_ref()),
        _ => None,
    };
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) => {
            let why = reason(why);
            io::Error::other(format!("the certificate of {server} is refused: {why}"))
        }
        Some(why) => io::Error::other(format!("there is no TLS with {server}: {why}")),
        None => io::Error::other(error),
    }
}

/// Why a certificate is refused.
fn reason(error: &CertificateError) -> String {
    match error {
        // The latter of one that but has the name of one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "it is of no authority that is trusted here; `ca_file` may name its own".to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("it was valid until {}", moment(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is not valid before {}", moment(*not_before))
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "it names no server (subjectAltName)".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            format!("it is for {} only", names.join(", "))
        }
        other => other.to_string(),
    }
}

fn moment(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

/// A name without its sort: `a` of `DnsName("a")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}
