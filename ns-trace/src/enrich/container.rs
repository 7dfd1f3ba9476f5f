//! Which container and pod a cgroup belongs to, from its path alone.
//!
//! Every runtime names the cgroups of its containers in its own way, and with systemd's driver in
//! another than with cgroupfs. Nobody is asked: neither runtimes nor kubelets need be there.

use std::sync::Arc;

use crate::model::{Container, Pod, Runtime};

/// The innermost container and the pod around it.
#[must_use]
pub fn of_cgroup(path: &str) -> (Option<Container>, Option<Pod>) {
    let (mut container, mut pod) = (None, None);
    let mut above = [""; 2];
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if let Some(uid) = pod_uid(part) {
            pod = Some(Pod { uid: uid.into() });
        }
        if let Some((id, runtime)) = named(part).or_else(|| placed(part, above)) {
            container = Some(Container { id: id.into(), runtime });
        } else if part == "supervisor" && is_nspawn(container.as_ref()) {
            // The program that runs the container, not the container.
            container = None;
        }
        above = [part, above[0]];
    }
    (container, pod)
}

fn is_nspawn(container: Option<&Container>) -> bool {
    container.is_some_and(|container| container.runtime == Some(Runtime::SystemdNspawn))
}

/// A container whose name says it all: `docker-<id>.scope`, `crio-<id>`,
/// `kubepods-pod<uid>.slice:cri-containerd:<id>`.
fn named(part: &str) -> Option<(String, Option<Runtime>)> {
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some((name.to_owned(), Some(Runtime::Lxc)));
    }
    if let Some(unit) = part.strip_prefix("systemd-nspawn@") {
        let name = unit.strip_suffix(".service")?;
        return Some((unescape(name), Some(Runtime::SystemdNspawn)));
    }
    let (maker, id) = match part.rsplit_once(':') {
        // What runc makes of systemd's triple slice:prefix:name when told to use cgroupfs.
        Some((before, id)) => (before.rsplit(':').next()?, id),
        None => part.strip_suffix(".scope").unwrap_or(part).rsplit_once('-')?,
    };
    if !is_id(id) || maker.ends_with("conmon") {
        // conmon is the process that watches over a container of podman or CRI-O.
        return None;
    }
    let runtime = match maker {
        "docker" => Some(Runtime::Docker),
        "cri-containerd" | "containerd" | "nerdctl" => Some(Runtime::Containerd),
        "crio" => Some(Runtime::CriO),
        "libpod" | "libpod-payload" => Some(Runtime::Podman),
        _ => None,
    };
    Some((id.to_owned(), runtime))
}

/// A container by the place of its cgroup: `docker/<id>`, `lxc/<name>`, `pod<uid>/<id>`.
fn placed(part: &str, [above, further]: [&str; 2]) -> Option<(String, Option<Runtime>)> {
    if is_id(part) {
        let runtime = match above {
            "docker" => Some(Runtime::Docker),
            "k8s.io" => Some(Runtime::Containerd),
            "libpod_parent" => Some(Runtime::Podman),
            _ => None,
        };
        return Some((part.to_owned(), runtime));
    }
    match above {
        "lxc" | "lxc.payload" => Some((part.to_owned(), Some(Runtime::Lxc))),
        "machine.slice" => machine(part),
        // A task of Fargate: its number and that of the container in it.
        _ if further == "ecs" => {
            let (task, number) = part.rsplit_once('-')?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            (is_hexadecimal(task, 32) && is_number).then(|| (part.to_owned(), None))
        }
        _ => None,
    }
}

/// A machine of systemd-machined: `machine-<name>.scope`.
fn machine(part: &str) -> Option<(String, Option<Runtime>)> {
    let name = unescape(part.strip_prefix("machine-")?.strip_suffix(".scope")?);
    if name.starts_with("qemu-") {
        // A virtual machine has no namespaces of this kernel.
        return None;
    }
    let lxc = name.strip_prefix("lxc-").and_then(|rest| rest.split_once('-'));
    Some(match lxc {
        Some((_, name)) => (name.to_owned(), Some(Runtime::LibvirtLxc)),
        None => (name, Some(Runtime::SystemdNspawn)),
    })
}

/// The pod of `kubepods-burstable-pod<uid>.slice`, where dashes of the uid are underscores, or of
/// `pod<uid>`.
fn pod_uid(part: &str) -> Option<String> {
    let name = part.split(':').next()?;
    let uid = match name.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        None => name.strip_prefix("pod")?.to_owned(),
    };
    let is_uuid = uid.len() == 36
        && uid.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_digit(byte),
        });
    (is_uuid || is_hexadecimal(&uid, 32)).then_some(uid)
}

fn is_id(text: &str) -> bool {
    is_hexadecimal(text, 64)
}

fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(is_digit)
}

const fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Undoes what systemd makes of characters that unit names cannot have (systemd-escape(1)).
fn unescape(name: &str) -> String {
    let mut plain = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("\\x") {
        plain.push_str(before);
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(code) = code.filter(u8::is_ascii) {
            plain.push(char::from(code));
            rest = after.get(2..).unwrap_or_default();
        } else {
            plain.push_str("\\x");
            rest = after;
        }
    }
    plain + rest
}

/// Both of a cgroup, shared.
pub(super) fn shared(path: &str) -> (Option<Arc<Container>>, Option<Arc<Pod>>) {
    let (container, pod) = of_cgroup(path);
    (container.map(Arc::new), pod.map(Arc::new))
}

#[cfg(test)]
mod tests;
