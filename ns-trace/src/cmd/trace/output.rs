//! Where a trace is written, and how.

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal as _},
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::Path,
};

use jiff::tz::TimeZone;
use rustix::termios::tcgetwinsize;

use super::{Class, Failure, TraceArgs};
use crate::{
    cli::{Color, Format},
    model::{Event, JsonWriter},
    sink::{Ahead, Render, Sink},
    view::{TextOptions, TextWriter, terminal},
};

/// Opens the output.
pub(super) fn sink(args: &TraceArgs) -> Result<Sink, Failure> {
    let is_terminal = args.output.is_none() && io::stdout().is_terminal();
    let render: Box<dyn Render> = match args.format {
        Format::Json => Box::new(JsonWriter::new(args.fields)),
        Format::Text => {
            let options = text_options(args.color, args.replay.is_some(), is_terminal);
            Box::new(Text(TextWriter::new(options)))
        }
    };
    let output: Box<dyn io::Write> = match &args.output {
        None => Box::new(Stdout),
        Some(path) => {
            if is_replayed(args, path) {
                let what =
                    format!("cannot write {}: it is the recording to replay", path.display());
                return Err(Failure::new(what).class(Class::Usage));
            }
            let file = OpenOptions::new().write(true).create(true).truncate(true).open(path);
            let told = |error| Failure::new(format!("cannot write {}: {error}", path.display()));
            let file = file.map_err(told)?;
            match file.metadata() {
                Ok(what) if what.is_file() => Box::new(Ahead::new(file)),
                _ => Box::new(file),
            }
        }
    };
    Ok(Sink::new(render, output))
}

/// Standard output for events of the past.
pub(in crate::cmd) fn of_the_past(format: Format, color: Color) -> Sink {
    let render: Box<dyn Render> = match format {
        Format::Json => Box::new(JsonWriter::default()),
        Format::Text => {
            let options = text_options(color, true, io::stdout().is_terminal());
            Box::new(Text(TextWriter::new(options)))
        }
    };
    Sink::new(render, Box::new(Stdout))
}

/// Whether an output is the very file that is to be replayed: opening it would empty it.
fn is_replayed(args: &TraceArgs, output: &Path) -> bool {
    let standard_input = Path::new("/proc/self/fd/0");
    let input = args.replay.as_deref();
    let input = input.map(|path| if path == Path::new("-") { standard_input } else { path });
    let is_same = |input: fs::Metadata, output: fs::Metadata| {
        output.is_file() && (input.dev(), input.ino()) == (output.dev(), output.ino())
    };
    match (input.map(fs::metadata), fs::metadata(output)) {
        (Some(Ok(input)), Ok(output)) => is_same(input, output),
        _ => false,
    }
}

/// The output as something to be watched for its reader going away.
pub(super) fn watchable(args: &TraceArgs) -> Option<OwnedFd> {
    let is_stdout = args.output.is_none();
    is_stdout.then(|| rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3).ok()).flatten()
}

fn text_options(color: Color, dates: bool, is_terminal: bool) -> TextOptions {
    let color = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal::has_color(is_terminal),
    };
    let size = is_terminal.then(|| tcgetwinsize(io::stdout()).ok()).flatten();
    TextOptions {
        color,
        charset: terminal::charset(),
        dates,
        width: size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns != 0),
        zone: TimeZone::system(),
    }
}

/// Events as text.
struct Text(TextWriter);

impl Render for Text {
    fn render(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.0.write(event, out);
    }
}

/// Standard output without the buffer that std puts before it: the sink has its own.
struct Stdout;

impl io::Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(rustix::stdio::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
