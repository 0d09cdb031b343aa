//! `skiff oci`: the command line of runc.
//!
//! `create` leaves a process that waits at a socket in the container's state directory (`--root/<id>/start.sock`); `start`
//! connects to it, and learns over the same connection why the program could not be executed.

mod args;
mod config;
mod console;
mod exec;
mod foreground;
mod lifecycle;
mod query;
mod readiness;
mod spec;
mod store;

use std::{ffi::OsString, io, io::Write, path::Path};

use clap::Parser;

use self::args::{Args, Command};

/// Runs `skiff oci ARGS` (`args` without the program and without `oci`) and returns the exit code.
/// Must be called before any thread is started.
pub fn main(args: &[OsString]) -> i32 {
    let name = OsString::from("skiff oci");
    let args = match Args::try_parse_from(std::iter::once(&name).chain(args)) {
        Ok(args) => args,
        Err(e) => {
            let _ = e.print();
            return e.exit_code();
        }
    };
    match run(&args) {
        Ok(code) => code,
        Err(e) => {
            report(&args, &e);
            1
        }
    }
}

fn run(args: &Args) -> io::Result<i32> {
    let store = store::Store::new(args.root.as_deref())?;
    match &args.command {
        Command::Spec(spec) => spec::write(spec),
        Command::Create(create) => lifecycle::create(&store, create, args),
        Command::Start { id } => lifecycle::start(&store, id),
        Command::Run(run) => lifecycle::run(&store, run, args),
        Command::State { id } => query::state(&store, id),
        Command::Kill(kill) => lifecycle::kill(&store, kill),
        Command::Delete(delete) => lifecycle::delete(&store, delete),
        Command::Exec(exec) => exec::exec(&store, exec),
        Command::List(list) => query::list(&store, list),
        Command::Ps { id, .. } => query::ps(&store, id),
        Command::Features => query::features(),
    }
}

/// Tells an error where runc tells it: on stderr, and in the log file, which is where callers look.
fn report(args: &Args, error: &io::Error) {
    message(args.log.as_deref(), &args.log_format, "error", &error.to_string());
    eprintln!("{error}");
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
    let time = jiff::Timestamp::now().to_string();
    let line = if format == "json" {
        serde_json::json!({"level": level, "msg": text, "time": time}).to_string()
    } else {
        format!("time={time:?} level={level} msg={text:?}")
    };
    let _ = writeln!(file, "{line}");
}
