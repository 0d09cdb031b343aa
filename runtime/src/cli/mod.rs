//! `skiff oci`: the command line of runc.
//!
//! `create` leaves a process that waits at a socket in the container's state directory (`--root/<id>/start.sock`); `start`
//! connects to it, and learns over the same connection why the program could not be executed.

mod args;
mod config;
mod console;
mod create;
mod events;
mod exec;
mod features;
#[cfg(test)]
mod fields;
mod foreground;
mod lifecycle;
mod options;
mod pause;
mod query;
mod readiness;
mod shared_mounts;
mod spec;
mod store;
mod sysctl;
mod update;

use std::{ffi::OsString, io, io::Write, path::Path};

use self::{
    args::{Args, Command},
    options::Stop,
};

/// Runs `skiff oci ARGS` (`args` without the program and without `oci`) and returns the exit code.
/// Must be called before any thread is started.
pub fn main(args: &[OsString]) -> i32 {
    let name = name();
    // Alone or after a global option.
    if args.len() <= 3
        && args
            .first()
            .is_some_and(|first| first.as_encoded_bytes().starts_with(b"-"))
        && args
            .last()
            .is_some_and(|last| last == "--version" || last == "-v")
    {
        return features::version(&name).unwrap_or(1);
    }
    let args = match Args::read(&name, args) {
        Ok(args) => args,
        Err(Stop::Help(text)) => return say(&text).unwrap_or(1),
        Err(Stop::Wrong(text)) => {
            eprintln!("{text}");
            return 1;
        }
        Err(Stop::Unknown(text)) => {
            eprintln!("{text}");
            return 3;
        }
    };
    match run(&args) {
        Ok(code) => code,
        Err(e) => {
            report(&args, &e);
            // As with runc, so that callers can tell it from the process's own failure.
            if matches!(args.command, Command::Exec(_)) {
                255
            } else {
                1
            }
        }
    }
}

/// What we are called: `runc` or `skiff-oci` by a link of that name.
fn name() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    match Path::new(&program).file_name().and_then(|name| name.to_str()) {
        Some(name) if is_runtime_name(name) => name.to_owned(),
        _ => "skiff oci".to_owned(),
    }
}

/// A program of this name is the runtime and nothing else, for engines that want the path of one.
pub fn is_runtime_name(name: &str) -> bool {
    matches!(name, "skiff-oci" | "runc" | "crun")
}

fn run(args: &Args) -> io::Result<i32> {
    let store = store::Store::new(args.root.as_deref())?;
    match &args.command {
        Command::Spec(spec) => spec::write(spec),
        Command::Create(create) => create::create(&store, create, args),
        Command::Start { id } => lifecycle::start(&store, id),
        Command::Run(run) => create::run(&store, run, args),
        Command::State { id } => query::state(&store, id),
        Command::Kill(kill) => lifecycle::kill(&store, kill),
        Command::Delete(delete) => lifecycle::delete(&store, delete, args.by_systemd()),
        Command::Pause { id } => pause::pause(&store, id),
        Command::Resume { id } => pause::resume(&store, id),
        Command::Update(update) => update::update(&store, update, args),
        Command::Events(events) => events::events(&store, events),
        Command::Unsupported => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "checkpoint and restore are not supported",
        )),
        Command::Exec(exec) => exec::exec(&store, exec, args),
        Command::List(list) => query::list(&store, list),
        Command::Ps { id, format, rest } => query::ps(&store, id, format, rest),
        Command::Features => features::features(),
    }
}

/// Prints what was asked for, and a line's end. Somebody who has read enough of it is no error.
fn say(text: &str) -> io::Result<i32> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e),
        _ => Ok(0),
    }
}

/// Tells an error where runc tells it: on stderr, and in the log file, which is where callers look.
fn report(args: &Args, error: &io::Error) {
    let text = words(&error.to_string());
    message(args.log.as_deref(), &args.log_format, "error", &text);
    if args.log.is_none() && args.log_format == "json" {
        eprintln!("{}", line(&args.log_format, "error", &text));
    } else {
        eprintln!("{text}");
    }
}

/// The kernel's errors as runc writes them, by which engines know them: `no such file or directory` instead of
/// `No such file or directory (os error 2)`.
fn words(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once(" (os error ") {
        let Some((number, behind)) = after.split_once(')') else {
            break;
        };
        let whole = number
            .parse()
            .map(|number| io::Error::from_raw_os_error(number).to_string())
            .unwrap_or_default();
        let sentence = whole.split(" (os error ").next().unwrap_or_default();
        match before.strip_suffix(sentence) {
            Some(start) if !sentence.is_empty() => {
                plain.push_str(start);
                let mut letters = sentence.chars();
                plain.extend(letters.next().map(|first| first.to_ascii_lowercase()));
                plain.push_str(letters.as_str());
            }
            _ => plain.push_str(before),
        }
        rest = behind;
    }
    plain + rest
}

/// Tells what was done differently than the configuration asks.
fn notes(args: &Args, notes: &[String]) {
    for note in notes {
        message(args.log.as_deref(), &args.log_format, "warning", note);
        if args.debug {
            eprintln!("warning: {note}");
        }
    }
}

fn message(log: Option<&Path>, format: &str, level: &str, text: &str) {
    let Some(path) = log else { return };
    let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path) else {
        return;
    };
    let _ = writeln!(file, "{}", line(format, level, text));
}

fn line(format: &str, level: &str, text: &str) -> String {
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    if format == "json" {
        serde_json::json!({"level": level, "msg": text, "time": time}).to_string()
    } else {
        format!("time={time:?} level={level} msg={text:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_kernel_are_written_as_runc_does() {
        let of = |number| io::Error::from_raw_os_error(number);
        assert_eq!(
            words(&format!(
                "open /x: {}: and {}.",
                of(libc::ENOENT),
                of(libc::EBUSY)
            )),
            "open /x: no such file or directory: and device or resource busy."
        );
        assert_eq!(words("no error of the kernel's"), "no error of the kernel's");
        assert_eq!(words("half (os error 2"), "half (os error 2");
    }
}
