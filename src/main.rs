//! The `skiff` command line: parse, wire, serve, drain. One file per command; [`main`] is the table of contents.

mod agent;
mod check;
mod cli;
mod cluster;
mod down;
mod image;
mod join;
mod kubeconfig;
mod members;
mod monitor;
mod notify;
mod output;
mod paths;
mod process;
mod recover;
mod scope;
mod server;
mod services;
mod snapshot;
mod status;
mod up;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command, ServerAction};

fn main() -> ExitCode {
    // The monitor blocks the signals it reads, and a blocked signal stays blocked in who it starts.
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
    // The OCI runtime has a command line of its own and starts containers: nothing may come before it.
    if let Some(args) = oci_arguments() {
        return exit_code(skiff_runtime::cli::main(&args));
    }
    let cli = Cli::parse();
    let paths = match paths::Paths::resolve(cli.data_dir, cli.run_dir) {
        Ok(paths) => paths,
        Err(error) => return failed(&error),
    };
    let result = match cli.command {
        Command::Up(args) => up::run(&paths, &args),
        Command::Down(args) => down::run(&paths, &args),
        Command::Status => status::run(&paths),
        Command::Services(args) => services::run(&paths, &args),
        Command::Check(args) => return exit_code(check::run(&paths, &args)),
        Command::Server(command) => match command.action {
            None => server::run(&paths, &command),
            Some(ServerAction::List) => members::list(&paths),
            Some(ServerAction::Remove { id }) => members::remove(&paths, id),
            Some(ServerAction::RotateSecretsKey) => members::rotate_secrets_key(&paths),
            Some(ServerAction::RotateKeys { finish, force }) => members::rotate_keys(&paths, finish, force),
            Some(ServerAction::RevokeNode { node }) => members::revoke_node(&paths, &node),
        },
        // From here on single-threaded until the agent is in its namespaces.
        Command::Agent(args) => return agent::run(&paths, &args).map_or_else(|e| failed(&e), exit_code),
        Command::Kubeconfig(args) => kubeconfig::run(&paths, &args),
        Command::Token(args) => join::print_token(&paths, args.server),
        Command::Snapshot(args) => snapshot::run(&paths, &args),
        Command::Image(args) => image::run(&paths, &args),
        Command::Oci { .. } => unreachable!("taken before parsing"),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "skiff", &mut std::io::stdout());
            Ok(())
        }
        Command::Monitor(args) => monitor::run(&paths, &args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// The arguments after `oci`, or all of them when the program is called by the name of a runtime.
fn oci_arguments() -> Option<Vec<std::ffi::OsString>> {
    let mut args = std::env::args_os();
    let program = args.next()?;
    if std::path::Path::new(&program)
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(skiff_runtime::cli::is_runtime_name)
    {
        return Some(args.collect());
    }
    (args.next()? == "oci").then(|| args.collect())
}

/// Prints the whole chain of an error once, here where it is handled.
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("skiff: {error:#}");
    ExitCode::FAILURE
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
