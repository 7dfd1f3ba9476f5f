//! Containers, pods, and those who look after them.

use serde_json::Value;

use super::{
    machine::Machine,
    task::{ALL, DOCKER, Task, initial},
};

const RUNC: &str = "/usr/bin/runc";

/// A container under way.
struct Container {
    shim: Task,
    init: Task,
    made: Vec<Value>,
}

/// What a runtime does to start a container: `shared` are namespaces of its pod.
fn start(
    machine: &mut Machine,
    runtime: &'static str,
    shared: &[Value],
    app: &[&str],
) -> Container {
    let id = machine.id();
    let containerd = Task::daemon(700, "/usr/bin/containerd");
    let shim =
        machine.spawn(&containerd, &["/usr/bin/containerd-shim-runc-v2", "-namespace", "moby"]);
    let runc = machine.spawn(&shim, &[RUNC, "create", "--bundle", "/run/x"]);
    // The first stage of `runc init` is put into the cgroup of the container.
    let mut stage = machine.spawn(&runc, &["/proc/self/exe", "init"]).named("runc:[0:PARENT]");
    stage.args = vec!["runc".to_owned(), "init".to_owned()];
    stage.container = Some((id, runtime));
    let mut child = machine.fork(&stage).named("runc:[1:CHILD]");
    machine.setns(&mut child, shared, "other");
    let kinds: Vec<_> = ["mnt", "pid", "ipc", "uts", "net"]
        .into_iter()
        .filter(|kind| shared.iter().all(|ns| ns["type"] != *kind))
        .collect();
    let mut made = machine.unshare(&mut child, &kinds);
    let mut init = machine.fork(&child).named("runc:[2:INIT]");
    init.vpid = 1;
    init.ns["pid"] = child.ns["pid_for_children"].clone();
    made.extend(machine.unshare(&mut init, &["cgroup"]));
    machine.exit(&child);
    machine.exit(&stage);
    machine.exit(&runc);
    DOCKER.clone_into(&mut init.caps);
    machine.exec(&mut init, app);
    Container { shim, init, made }
}

fn end(machine: &mut Machine, container: Container) {
    machine.exit(&container.init);
    machine.exit(&container.shim);
    machine.gone(container.made);
}

/// A container starts, works, and ends.
pub(super) fn starts(machine: &mut Machine) {
    let container = start(machine, "docker", &[], &["/usr/sbin/nginx", "-g", "daemon off;"]);
    // dockerd plugs the network in: a thread goes there and comes back.
    let dockerd = Task::daemon(800, "/usr/bin/dockerd");
    let tid = machine.pid();
    let mut thread = dockerd.thread(tid);
    machine.setns(&mut thread, &[container.init.ns["net"].clone()], "other");
    machine.setns(&mut thread, &[initial("net")], "host");
    let workers: Vec<_> = (0..4).map(|_| machine.fork(&container.init).of_user(101)).collect();
    machine.wait(60_000);
    let mut script = machine.spawn(&container.init, &["/bin/sh", "-c", "envsubst </a >/b"]);
    machine.exec(&mut script, &["/usr/bin/envsubst"]);
    machine.exit(&script);
    for worker in workers {
        machine.exit(&worker);
    }
    end(machine, container);
}

/// What `docker exec` does, and a health check.
pub(super) fn is_asked_for_its_health(machine: &mut Machine) {
    let shim = Task::daemon(900, "/usr/bin/containerd-shim-runc-v2");
    let runc = machine.spawn(&shim, &[RUNC, "exec", "--process", "/tmp/p"]);
    let mut stage = machine.spawn(&runc, &["/proc/self/exe", "init"]).named("runc:[1:CHILD]");
    stage.args = vec!["runc".to_owned(), "init".to_owned()];
    // Newer ones are born in the cgroup of the container, older ones are put there later.
    let is_new = machine.random(2) == 0;
    let container = Some((format!("{:064x}", 900), "docker"));
    if is_new {
        stage.container = container.clone();
    }
    let inside: Vec<_> = ["ipc", "uts", "net", "pid", "mnt", "cgroup"]
        .map(|kind| serde_json::json!({"type": kind, "inode": 77, "id": 77, "initial": false}))
        .into();
    machine.setns(&mut stage, &inside, if is_new { "own" } else { "other" });
    let mut check = machine.fork(&stage).named("runc:[2:INIT]");
    check.container = container;
    check.ns["pid"] = check.ns["pid_for_children"].clone();
    DOCKER.clone_into(&mut check.caps);
    machine.exec(&mut check, &["/usr/bin/curl", "-f", "http://localhost/"]);
    machine.wait(50);
    machine.exit(&check);
    machine.exit(&stage);
    machine.exit(&runc);
}

/// A pod: the pause container makes what its containers share, a plugin makes it a network.
pub(super) fn pod_starts(machine: &mut Machine) {
    let pause = start(machine, "containerd", &[], &["/pause"]);
    let containerd = Task::daemon(700, "/usr/bin/containerd");
    for plugin in ["/opt/cni/bin/bridge", "/opt/cni/bin/portmap"] {
        let plugin = machine.spawn(&containerd, &[plugin]);
        let tid = machine.pid();
        let mut thread = plugin.thread(tid);
        machine.setns(&mut thread, &[pause.init.ns["net"].clone()], "other");
        machine.wait(5);
        machine.setns(&mut thread, &[initial("net")], "host");
        machine.exit(&plugin);
    }
    let shared = ["net", "ipc", "uts"].map(|kind| pause.init.ns[kind].clone());
    let app = start(machine, "containerd", &shared, &["/app/server"]);
    let user = machine.fork(&app.init).of_user(65532);
    machine.wait(120_000);
    machine.exit(&user);
    end(machine, app);
    end(machine, pause);
}

/// The agent of a container network, in a privileged container that shares the network of the host.
pub(super) fn agent_looks_into_pods(machine: &mut Machine) {
    let mut agent = Task::daemon(950, "/usr/bin/cilium-agent");
    agent.container = Some((format!("{:064x}", 950), "containerd"));
    for kind in ["mnt", "ipc", "uts", "cgroup"] {
        agent.ns[kind] = serde_json::json!({"type": kind, "inode": 95, "id": 95, "initial": false});
    }
    let tid = machine.pid();
    let mut thread = agent.thread(tid);
    let pod = machine.namespace("net");
    machine.setns(&mut thread, &[pod], "other");
    machine.wait(3);
    machine.setns(&mut thread, &[initial("net")], "host");
    let child = machine.spawn(&agent, &["/usr/sbin/iptables", "-w", "-S"]);
    machine.exit(&child);
}

/// A builder in a privileged container makes containers of its own.
pub(super) fn builds_an_image(machine: &mut Machine) {
    let mut container = start(machine, "docker", &[], &["/usr/bin/buildkitd"]);
    ALL.clone_into(&mut container.init.caps);
    for _ in 0..5 {
        let mut runc = machine.spawn(&container.init, &["/usr/bin/buildkit-runc", "run"]);
        let made = machine.unshare(&mut runc, &["mnt", "pid", "ipc", "uts", "net"]);
        let step = machine.spawn(&runc, &["/bin/sh", "-c", "apt-get install -y gcc"]);
        machine.wait(4_000);
        machine.exit(&step);
        machine.exit(&runc);
        machine.gone(made);
    }
    end(machine, container);
}

/// A container takes pictures of pages with a browser that brings its sandbox.
pub(super) fn browses(machine: &mut Machine) {
    let container = start(machine, "docker", &[], &["/usr/local/bin/node", "shot.js"]);
    let node = machine.fork(&container.init).of_user(1000);
    let chrome = machine.spawn(&node, &["/opt/chrome/chrome", "--headless"]);
    let (mut zygote, made) = machine.clone_into(&chrome, &["user", "pid", "net"]);
    machine.exec(&mut zygote, &["/proc/self/exe", "--type=zygote"]);
    machine.wait(3_000);
    machine.exit(&zygote);
    machine.exit(&chrome);
    machine.exit(&node);
    machine.gone(made);
    end(machine, container);
}

/// Not of ordinary life: somebody leaves a container for the mount namespace of the host.
pub(super) fn escapes(machine: &mut Machine) {
    let container = start(machine, "docker", &[], &["/usr/sbin/nginx"]);
    let mut shell = machine.spawn(&container.init, &["/bin/sh"]);
    ALL.clone_into(&mut shell.caps);
    machine.setns(&mut shell, &[initial("mnt")], "host");
    let owned = machine.spawn(&shell, &["/bin/bash"]);
    machine.exit(&owned);
    machine.exit(&shell);
    end(machine, container);
}
