//! The report for people.

use super::report::{Backend, Report, Status};
use crate::{
    cli::Bytes,
    probe::{
        Backend as Name,
        coverage::{Cell, Row, Sight},
    },
    view::{
        Charset,
        quantity::Count,
        sheet::{Mark, Sheet},
    },
};

pub(super) fn render(report: &Report, color: bool, charset: Charset) -> String {
    let mut sheet = Sheet::new(color, charset);
    verdict(&mut sheet, report);
    kernel(&mut sheet, report);
    for backend in &report.backends {
        hooks(&mut sheet, backend);
    }
    process(&mut sheet, report);
    collector(&mut sheet, report);
    place(&mut sheet, report);
    coverage(&mut sheet, report);
    sheet.render()
}

const fn mark(fact: Option<bool>, otherwise: Mark) -> Mark {
    match fact {
        Some(true) => Mark::Good,
        Some(false) => otherwise,
        None => Mark::Unknown,
    }
}

fn verdict(sheet: &mut Sheet, report: &Report) {
    sheet.section("Verdict");
    let is_ready = report.verdict.status == Status::Ready;
    sheet.row(mark(Some(is_ready), Mark::Bad), [report.verdict.sentence.as_str()]);
    for backend in &report.backends {
        let told = match &backend.obstacle {
            Some(obstacle) => obstacle.as_str(),
            None if report.verdict.backend == Some(backend.name) => {
                "runs here; --probe auto takes it"
            }
            None => "runs here",
        };
        let otherwise = if is_ready { Mark::Fact } else { Mark::Bad };
        sheet.row(mark(backend.available, otherwise), [backend.name, told]);
    }
    for warning in &report.warnings {
        sheet.row(Mark::Notable, ["warning", warning]);
    }
}

fn kernel(sheet: &mut Sheet, report: &Report) {
    let (kernel, btf) = (&report.kernel, &report.btf);
    sheet.section("Kernel");
    sheet.row(Mark::Fact, ["release", &format!("{} {}", kernel.release, kernel.machine)]);
    match kernel.lockdown.as_deref() {
        Some("confidentiality") => {
            sheet.row(Mark::Bad, ["lockdown", "confidentiality: the probes may not read memory"]);
        }
        Some(mode) => sheet.row(Mark::Good, ["lockdown", mode]),
        None => sheet.row(Mark::Unknown, ["lockdown", "unknown"]),
    }
    let size = btf.bytes.map_or_else(String::new, |bytes| format!(", {bytes} bytes"));
    match &btf.error {
        Some(error) => sheet.row(Mark::Bad, ["types (BTF)", error]),
        None => sheet.row(Mark::Good, ["types (BTF)", &format!("{}{size}", btf.path)]),
    }
    if btf.error.is_none() {
        let absent = match btf.absent.len() as u64 {
            0 => String::new(),
            number => format!(", {} absent in this kernel", Count(number, "optional one")),
        };
        let found = format!("{} found{absent}", Count(btf.offsets as u64, "offset"));
        sheet.row(Mark::Good, ["offsets", &found]);
        let told = match btf.self_check {
            Some(true) => "the probes read what /proc says",
            Some(false) => "the probes do not read what /proc says",
            None => "not done: no backend could be tried",
        };
        sheet.row(mark(btf.self_check, Mark::Bad), ["self-check", told]);
    }
    for feature in &report.nsfs {
        let since = format!("since Linux {}", feature.since);
        sheet.row(
            mark(feature.present, Mark::Fact),
            [feature.name, presence(feature.present), &since],
        );
    }
}

const fn presence(present: Option<bool>) -> &'static str {
    match present {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

fn hooks(sheet: &mut Sheet, backend: &Backend) {
    if backend.hooks.is_empty() {
        return;
    }
    sheet.section(&format!("Hooks of the {} backend", backend.name));
    for hook in &backend.hooks {
        let there = match hook.present {
            Some(true) => "",
            Some(false) => "not in this kernel",
            None => "unknown",
        };
        sheet.row(mark(hook.present, Mark::Bad), [hook.sort, hook.name, there]);
    }
}

fn process(sheet: &mut Sheet, report: &Report) {
    let process = &report.process;
    sheet.section("Process");
    sheet.row(Mark::Fact, ["user", &format!("uid {}, euid {}", process.uid, process.euid)]);
    for capability in &process.capabilities {
        let otherwise = if capability.required { Mark::Bad } else { Mark::Fact };
        let held = if capability.held { "held" } else { "missing" };
        let purpose = format!("to {}", capability.purpose);
        sheet.row(mark(Some(capability.held), otherwise), [capability.name, held, &purpose]);
    }
    let limit = process.memlock_bytes.map_or_else(|| "none".to_owned(), |n| Bytes(n).to_string());
    sheet.row(Mark::Fact, ["memlock limit", &limit, "counts for BPF maps before Linux 5.11 only"]);
    for namespace in &process.namespaces {
        let inode = namespace.inode.map_or_else(|| "?".to_owned(), |inode| inode.to_string());
        let initial = match namespace.initial {
            Some(true) => "initial",
            Some(false) => "not the initial one",
            None => "unknown whether initial",
        };
        let limit = namespace.limit.map(|limit| format!(", at most {limit} per user"));
        let told = format!("{initial}{}", limit.unwrap_or_default());
        let name = format!("{}:{inode}", namespace.kind);
        sheet.row(mark(namespace.initial, Mark::Notable), ["namespace", &name, &told]);
    }
}

fn collector(sheet: &mut Sheet, report: &Report) {
    let Some(collector) = &report.collector else { return };
    sheet.section("Collector");
    sheet.row(Mark::Fact, ["process", &collector.pid.to_string()]);
    let held = match collector.capabilities.as_deref() {
        None => "unknown".to_owned(),
        Some([]) => "none".to_owned(),
        Some(held) => held.join(", "),
    };
    sheet.row(Mark::Fact, ["capabilities left", &held]);
    for (name, fact) in [
        ("no new privileges", collector.no_new_privileges),
        ("system calls filtered", collector.seccomp),
    ] {
        sheet.row(mark(fact, Mark::Notable), [name, presence(fact)]);
    }
}

fn place(sheet: &mut Sheet, report: &Report) {
    sheet.section("Settings");
    for setting in &report.settings {
        let value = setting.value.as_deref().unwrap_or("unknown");
        let mark = if setting.value.is_some() { Mark::Fact } else { Mark::Unknown };
        sheet.row(mark, [setting.name, value, setting.meaning]);
    }
    sheet.section("File systems");
    let systems = &report.file_systems;
    let told = match systems.detached_tracefs {
        Some(true) => "yes; it need not be mounted",
        Some(false) => "no",
        None => "unknown without CAP_SYS_ADMIN",
    };
    sheet.row(mark(systems.detached_tracefs, Mark::Bad), ["tracefs of its own", told]);
    for mounted in &systems.mounts {
        let places = match mounted.places.len() {
            0 => "not mounted, nor needed".to_owned(),
            _ => mounted.places.join(", "),
        };
        sheet.row(Mark::Fact, [mounted.kind, &places]);
    }
    let pins = &report.pins;
    let told = match &pins.obstacle {
        Some(obstacle) => format!("no: {obstacle}"),
        None => format!("can be pinned in {}", pins.directory),
    };
    sheet.row(mark(Some(pins.available), Mark::Notable), ["probes across restarts", &told]);
    for set in &pins.sets {
        let told = format!("{set}; `ns-trace doctor --clean` ends it if no collector runs");
        sheet.row(Mark::Notable, ["pinned probes", &told]);
    }
    let cgroup = &report.cgroup;
    let told = match (&cgroup.unified, cgroup.legacy.as_slice()) {
        (Some(place), []) => format!("{} at {place}", cgroup.layout),
        (Some(place), legacy) => {
            let legacy = Count(legacy.len() as u64, "v1 hierarchie");
            format!("{}: {legacy}, and the unified one at {place}", cgroup.layout)
        }
        (None, _) => format!("{}: events have no cgroup path", cgroup.layout),
    };
    sheet.row(mark(Some(cgroup.unified.is_some()), Mark::Notable), ["cgroup", &told]);
}

fn coverage(sheet: &mut Sheet, report: &Report) {
    let Some(rows) = &report.coverage else { return };
    for name in Name::ALL {
        sheet.section(&format!("What the {name} backend sees on this kernel"));
        for row in rows {
            line(sheet, row, &row.cell(name));
        }
    }
}

fn line(sheet: &mut Sheet, row: &Row, cell: &Cell) {
    let mark = match cell.sight {
        Sight::Exact => Mark::Good,
        Sight::Late => Mark::Notable,
        Sight::Never => Mark::Bad,
    };
    let event = match row.cause {
        Some(cause) => format!("{} by {cause}", row.event),
        None => row.event.to_owned(),
    };
    let told = [row.situation, cell.note].into_iter().flatten().collect::<Vec<_>>().join(": ");
    sheet.row(mark, [cell.sight.name(), &event, &told]);
}
