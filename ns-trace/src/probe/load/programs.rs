//! Handing the programs to the kernel.

use std::{
    os::fd::AsFd as _,
    sync::{Mutex, PoisonError},
    thread,
};

use aya::{
    Btf, Ebpf,
    programs::{FEntry, FExit, Program, ProgramError},
};
use rustc_hash::FxHashMap;

use super::{Error, Programs};
use crate::probe::plan::{Hook, HookKind};

/// Loads what hooks run, on all processors: the kernel takes milliseconds to verify a program.
///
/// # Errors
///
/// If the kernel refuses one.
pub(super) fn load(hooks: &[Hook], ebpf: &mut Ebpf, btf: Option<&Btf>) -> Result<Programs, Error> {
    let mut found: FxHashMap<_, _> = ebpf.programs_mut().collect();
    let pairs = hooks.iter().map(|hook| {
        let program = found.remove(hook.program).ok_or(Error::Part(hook.program))?;
        Ok((hook, program))
    });
    let queue = Mutex::new(pairs.collect::<Result<Vec<_>, Error>>()?);
    let work = || {
        let mut loaded = Vec::new();
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some((hook, program)) = next() {
            let refused = |source| Error::Program { program: hook.program, source };
            one(hook, program, btf).map_err(refused)?;
            let fd = program.fd().map_err(refused)?.as_fd().try_clone_to_owned();
            let failed = |source| Error::Attach { hook: hook.program, source };
            loaded.push((hook.program, fd.map_err(failed)?));
        }
        Ok(loaded)
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(hooks.len());
    thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mut loaded: Result<Vec<_>, Error> = work();
        for other in others {
            let theirs = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            loaded = loaded.and_then(|mut all| {
                all.extend(theirs?);
                Ok(all)
            });
        }
        Ok(loaded?.into_iter().collect())
    })
}

fn one(hook: &Hook, program: &mut Program, btf: Option<&Btf>) -> Result<(), ProgramError> {
    match (hook.kind, program, btf) {
        (_, Program::RawTracePoint(program), _) => program.load(),
        (_, Program::TracePoint(program), _) => program.load(),
        (_, Program::KProbe(program), _) => program.load(),
        (HookKind::Entry(function), Program::FEntry(program), Some(btf)) => {
            FEntry::load(program, function, btf)
        }
        (HookKind::Return(function), Program::FExit(program), Some(btf)) => {
            FExit::load(program, function, btf)
        }
        (HookKind::Iterator(sort), Program::Iter(program), Some(btf)) => program.load(sort, btf),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}
