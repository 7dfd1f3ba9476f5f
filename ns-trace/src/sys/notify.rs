//! What a service manager is told (`sd_notify(3)`, `sd_watchdog_enabled(3)`).

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// The way to the service manager, if one has started this process.
#[derive(Debug)]
pub struct Notifier(Option<(UnixDatagram, SocketAddr)>);

impl Notifier {
    /// To where `NOTIFY_SOCKET` says.
    #[must_use]
    pub fn from_environment() -> Self {
        Self(env::var_os("NOTIFY_SOCKET").and_then(|place| Self::to(&place).ok()))
    }

    fn to(place: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
        let address = match place.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(place)?,
        };
        Ok((UnixDatagram::unbound()?, address))
    }

    /// Tells it something; nobody may be there to hear it.
    pub fn tell(&self, text: &str) {
        if let Self(Some((socket, address))) = self {
            let _sent = socket.send_to_addr(text.as_bytes(), address);
        }
    }

    /// Says that the configuration is being read again. `READY=1` must follow.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }
}

/// How often at least the service manager wants to hear `WATCHDOG=1`; `None` if it does not.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
    number("WATCHDOG_USEC").filter(|micros| is_meant && *micros > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_has_a_path_or_an_abstract_name() {
        let name = format!("ns-trace-test-{}-notify", process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier(Some(Notifier::to(format!("@{name}").as_ref()).unwrap()));
        notifier.tell("READY=1");
        notifier.reloading();
        let mut text = [0; 64];
        assert_eq!(socket.recv(&mut text).unwrap(), 7);
        assert_eq!(&text[..7], b"READY=1");
        let len = socket.recv(&mut text).unwrap();
        assert!(text[..len].starts_with(b"RELOADING=1\nMONOTONIC_USEC="));
        assert!(Notifier::to("/no/such\0place".as_ref()).is_err());
        Notifier(None).tell("nobody is there");
    }
}
