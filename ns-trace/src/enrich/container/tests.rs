//! Paths as runtimes really make them.

use proptest::prelude::*;

use super::*;

const ID: &str = "3f2a9c1d2e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b";
const OUTER: &str = "a4d1b2c3e4f5061728394a5b6c7d8e9f00112233445566778899aabbccddeeff";
const UID: &str = "6a1f8f52-3c0e-4d3b-9d0a-1f2e3d4c5b6a";
const STATIC: &str = "87c4e9a8b6ad5b9ddd2a9c7b2e3d7d71";

/// Checks a path in which `{id}`, `{outer}`, `{uid}`, `{u_i_d}` and `{static}` stand for the above.
fn check(path: &str, container: Option<(&str, Option<Runtime>)>, pod: Option<&str>) {
    let filled = path
        .replace("{id}", ID)
        .replace("{outer}", OUTER)
        .replace("{uid}", UID)
        .replace("{u_i_d}", &UID.replace('-', "_"))
        .replace("{static}", STATIC);
    let (found, found_pod) = of_cgroup(&filled);
    let found = found.as_ref().map(|found| (&*found.id, found.runtime));
    assert_eq!(found, container, "container of {path}");
    assert_eq!(found_pod.as_ref().map(|pod| &*pod.uid), pod, "pod of {path}");
}

#[test]
fn docker() {
    for path in [
        "/docker/{id}",
        "/system.slice/docker-{id}.scope",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{id}.scope",
        "/my.slice/docker-{id}.scope",
        // With systemd inside.
        "/docker/{id}/init.scope",
        "/system.slice/docker-{id}.scope/system.slice/nginx.service",
        // In each other.
        "/docker/{outer}/docker/{id}",
        "/system.slice/docker-{outer}.scope/docker/{id}",
        // Seen from a cgroup namespace.
        "/../../docker/{id}",
        "/system.slice:docker:{id}",
    ] {
        check(path, Some((ID, Some(Runtime::Docker))), None);
    }
}

#[test]
fn containerd_without_kubernetes() {
    for path in
        ["/k8s.io/{id}", "/system.slice/nerdctl-{id}.scope", "/user.slice/nerdctl-{id}.scope"]
    {
        check(path, Some((ID, Some(Runtime::Containerd))), None);
    }
    // nerdctl with cgroupfs: nothing in the path says whose it is.
    check("/default/{id}", Some((ID, None)), None);
}

#[test]
fn kubernetes_with_the_systemd_driver() {
    use Runtime::{Containerd, CriO, Docker};
    for (path, runtime) in [
        ("/kubepods.slice/kubepods-pod{u_i_d}.slice/cri-containerd-{id}.scope", Containerd),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{u_i_d}.slice/cri-containerd-{id}.scope",
            Containerd,
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{u_i_d}.slice/crio-{id}.scope",
            CriO,
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{u_i_d}.slice/crio-{id}.scope/container",
            CriO,
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{u_i_d}.slice/docker-{id}.scope",
            Docker,
        ),
        // kind: the node is a container itself.
        (
            "/system.slice/docker-{outer}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{u_i_d}.slice/cri-containerd-{id}.scope",
            Containerd,
        ),
        // containerd with the cgroupfs driver under a kubelet with systemd's.
        (
            "/system.slice/containerd.service/kubepods-burstable-pod{u_i_d}.slice:cri-containerd:{id}",
            Containerd,
        ),
        ("/kubepods-besteffort-pod{u_i_d}.slice:cri-containerd:{id}", Containerd),
        // A container of docker-in-docker within a pod.
        (
            "/kubepods.slice/kubepods-pod{u_i_d}.slice/cri-containerd-{outer}.scope/docker/{id}",
            Docker,
        ),
    ] {
        check(path, Some((ID, Some(runtime))), Some(UID));
    }
    check(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{static}.slice/cri-containerd-{id}.scope",
        Some((ID, Some(Containerd))),
        Some(STATIC),
    );
    // Between its creation and its first container.
    check("/kubepods.slice/kubepods-pod{u_i_d}.slice", None, Some(UID));
}

#[test]
fn kubernetes_with_the_cgroupfs_driver() {
    for path in [
        "/kubepods/pod{uid}/{id}",
        "/kubepods/burstable/pod{uid}/{id}",
        "/kubepods/besteffort/pod{uid}/{id}",
        "/kubelet/kubepods/besteffort/pod{uid}/{id}",
        "/docker/{outer}/kubelet/kubepods/besteffort/pod{uid}/{id}",
        "/kubepods/burstable/pod{uid}/{id}/init.scope",
    ] {
        check(path, Some((ID, None)), Some(UID));
    }
    check("/kubepods/burstable/pod{uid}/crio-{id}", Some((ID, Some(Runtime::CriO))), Some(UID));
    check("/kubepods/burstable/pod{static}/{id}", Some((ID, None)), Some(STATIC));
    check("/kubepods/burstable/pod{uid}", None, Some(UID));
}

#[test]
fn podman() {
    for path in [
        "/machine.slice/libpod-{id}.scope",
        "/machine.slice/libpod-{id}.scope/container",
        "/machine.slice/machine-libpod_pod_{outer}.slice/libpod-{id}.scope",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope/container",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_{outer}.slice/libpod-{id}.scope/container",
        "/libpod_parent/libpod-{id}",
        "/libpod_parent/{id}/ctr",
        "/system.slice/web.service/libpod-payload-{id}",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/libpod-payload-{id}/container",
    ] {
        check(path, Some((ID, Some(Runtime::Podman))), None);
    }
}

#[test]
fn those_who_only_watch_are_in_no_container() {
    for path in [
        "/machine.slice/libpod-conmon-{id}.scope",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-{id}.scope",
        "/libpod_parent/conmon",
        "/lxc.monitor/web",
        "/lxc.monitor.web",
        "/machine.slice/systemd-nspawn@web.service/supervisor",
        "/machine.slice/machine-web.scope/supervisor",
        "/system.slice/containerd.service",
        "/system.slice/web.service/runtime",
    ] {
        check(path, None, None);
    }
    let crio = "/kubepods.slice/kubepods-pod{u_i_d}.slice/crio-conmon-{id}.scope";
    check(crio, None, Some(UID));
}

#[test]
fn lxc() {
    for path in [
        "/lxc/web",
        "/lxc/web/ns",
        "/lxc.payload/web",
        "/lxc.payload.web",
        "/lxc.payload.web/init.scope",
        "/lxc.payload.web/system.slice/nginx.service",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/lxc.payload.web",
    ] {
        check(path, Some(("web", Some(Runtime::Lxc))), None);
    }
    // Proxmox, LXD with a project, and docker inside LXD.
    check("/lxc/101/ns/init.scope", Some(("101", Some(Runtime::Lxc))), None);
    check("/lxc.payload.blue_web", Some(("blue_web", Some(Runtime::Lxc))), None);
    check("/lxc.payload.web/docker/{id}", Some((ID, Some(Runtime::Docker))), None);
}

#[test]
fn systemd_machines() {
    use Runtime::{LibvirtLxc, SystemdNspawn};
    for (path, name, runtime) in [
        ("/machine.slice/systemd-nspawn@web.service/payload", "web", SystemdNspawn),
        (
            "/machine.slice/systemd-nspawn@web\\x2d1.service/payload/init.scope",
            "web-1",
            SystemdNspawn,
        ),
        ("/machine.slice/machine-web.scope", "web", SystemdNspawn),
        ("/machine.slice/machine-web\\x2d1.scope/payload", "web-1", SystemdNspawn),
        ("/machine.slice/machine-lxc\\x2d8121\\x2dmy\\x2dvm.scope", "my-vm", LibvirtLxc),
        ("/machine.slice/machine-odd\\xzz.scope", "odd\\xzz", SystemdNspawn),
    ] {
        check(path, Some((name, Some(runtime))), None);
    }
    check("/machine.slice/machine-qemu\\x2d1\\x2dweb.scope", None, None);
    check("/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator", None, None);
}

#[test]
fn clouds() {
    check("/ecs/{static}/{id}", Some((ID, None)), None);
    check("/ecs/blue/{static}/{id}", Some((ID, None)), None);
    let fargate = format!("{STATIC}-1234567890");
    check(&format!("/ecs/{STATIC}/{fargate}"), Some((&fargate, None)), None);
    check("/actions_job/{id}", Some((ID, None)), None);
}

#[test]
fn everybody_else_is_in_none() {
    for path in [
        "",
        "/",
        "/init.scope",
        "/system.slice/docker.service",
        "/system.slice/docker.socket",
        "/system.slice/var-lib-docker-containers-{id}-mounts-shm.mount",
        "/docker",
        "/docker/buildkit",
        "/lxc",
        "/kubepods",
        "/kubepods.slice/kubepods-besteffort.slice",
        "/system.slice/kubelet.service",
        "/machine.slice",
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-6a1f8f52-3c0e-4d3b-9d0a-1f2e3d4c5b6a.scope",
        "/system.slice/run-rf0c5ad2e9a2d4a7b8a5e9a2d4a7b8a5e.scope",
        "/podinfo/x",
        "/docker/3F2A9C1D2E4F5A6B7C8D9E0F1A2B3C4D5E6F7A8B9C0D1E2F3A4B5C6D7E8F9A0B",
    ] {
        check(path, None, None);
    }
}

proptest! {
    #[test]
    fn no_path_makes_it_panic(
        parts in prop::collection::vec(prop_oneof![
            "\\PC{0,12}",
            "[a-z.\\\\x:@-]{0,12}",
            Just(ID.to_owned()),
            prop::sample::select(vec![
                "docker", "lxc", "machine.slice", "ecs", "pod", "machine-lxc\\x2d", "machine-\\x",
                "kubepods-pod.slice", "a:b:c", ":", "-", "docker-.scope", "supervisor",
            ]).prop_map(str::to_owned),
        ], 0..6),
    ) {
        let _found = of_cgroup(&parts.join("/"));
    }
}
