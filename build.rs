//! Links the C libraries we use into the program, so that the one file runs wherever there is a libc.
//!
//! Both would be found at run time otherwise: libseccomp by its crate's choice, libgcc (which unwinds the stack) by the standard
//! library's. An archive that comes first on the linker's command line makes the shared library superfluous, and rustc tells the
//! linker to leave out what is not needed. libseccomp is under the LGPL 2.1: with our sources anybody can link another one.

use std::{path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Cargo forgets `strip` for a package whose profile has settings of its own, and ours is made small.
    println!("cargo:rerun-if-changed=runtime/hot.ld");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rustc-link-arg-bins=-Wl,--strip-all");
        // What `skiff oci` uses lies together: a program's file is mapped 64 KiB at once, and all of that counts as memory.
        println!(
            "cargo:rustc-link-arg-bins=-Wl,-T,{}/runtime/hot.ld",
            env!("CARGO_MANIFEST_DIR")
        );
    }
    // At a fixed address: relocating 100 000 pointers at each start costs 4 MB of memory in every process and a part of the
    // time in which a container starts. Stack, heap and libraries still lie anywhere (docs/security.md).
    println!("cargo:rustc-link-arg-bins=-no-pie");
    for (archive, library) in [
        ("libseccomp.a", "static:+whole-archive=seccomp"),
        ("libgcc_eh.a", "static:+whole-archive=gcc_eh"),
    ] {
        // Where the archive is not installed the program needs the shared library.
        let Some(folder) = folder_of(archive) else {
            continue;
        };
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-lib={library}");
    }
}

/// Where the C compiler finds an archive.
fn folder_of(archive: &str) -> Option<String> {
    let asked = Command::new("cc")
        .arg(format!("-print-file-name={archive}"))
        .output()
        .ok()?;
    let path = String::from_utf8(asked.stdout).ok()?;
    let path = std::fs::canonicalize(Path::new(path.trim())).ok()?;
    // An unknown name comes back as it is.
    path.is_absolute()
        .then(|| path.parent().map(|folder| folder.display().to_string()))?
}
