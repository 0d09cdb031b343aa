//! Which devices the processes of a cgroup may use: the rules of a configuration written to the files of v1, or made a BPF
//! program for v2.

use std::{
    fs,
    io::{self, Write},
    os::fd::AsFd,
};

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use skiff_sys::{
    bpf::{Instruction, load_device_filter, replace_device_filter},
    idmap::in_first_namespace,
};

use super::{Cgroup, Version};
use crate::error::Context;

/// What every container may do, as runc lets it: make any node, use the default devices and terminals.
const ALWAYS: &[(LinuxDeviceType, Option<i64>, Option<i64>, &str)] = &[
    (LinuxDeviceType::C, None, None, "m"),
    (LinuxDeviceType::B, None, None, "m"),
    (LinuxDeviceType::C, Some(1), Some(3), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(5), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(7), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(8), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(9), "rwm"),
    (LinuxDeviceType::C, Some(5), Some(0), "rwm"),
    (LinuxDeviceType::C, Some(5), Some(1), "rwm"),
    (LinuxDeviceType::C, Some(5), Some(2), "rwm"),
    (LinuxDeviceType::C, Some(136), None, "rwm"),
];

fn always() -> impl Iterator<Item = LinuxDeviceCgroup> {
    ALWAYS.iter().map(|(kind, major, minor, access)| {
        let mut rule = LinuxDeviceCgroup::default();
        rule.set_allow(true)
            .set_typ(Some(*kind))
            .set_major(*major)
            .set_minor(*minor)
            .set_access(Some((*access).to_owned()));
        rule
    })
}

impl Cgroup {
    /// Carries out `rules`, in order, and then those every container has. Returns a note when the kernel does not let us.
    pub(super) fn limit_devices(&self, rules: &[LinuxDeviceCgroup]) -> io::Result<Option<String>> {
        if self.version == Version::V2 {
            return self.filter_devices(rules);
        }
        let Some(dir) = self.directory("devices") else {
            return Ok(None);
        };
        let open = |name| {
            let path = dir.join(name);
            let opened = fs::OpenOptions::new().write(true).open(&path);
            opened.context(|| format!("open {path:?}"))
        };
        let (allow, deny) = (open("devices.allow")?, open("devices.deny")?);
        for rule in rules.iter().cloned().chain(always()) {
            if rule.typ() == Some(LinuxDeviceType::P) {
                continue;
            }
            let (mut file, name) = if rule.allow() {
                (&allow, "allowed")
            } else {
                (&deny, "denied")
            };
            let text = v1_rule(&rule);
            // Each write is a rule, wherever in the file it lands.
            file.write_all(text.as_bytes())
                .context(|| format!("device rule {text:?} can't be {name} in {dir:?}"))?;
        }
        Ok(None)
    }

    /// Lets processes use the devices that `rules` allow, in order, and those every container may use. Returns a note
    /// when the kernel does not let us.
    fn filter_devices(&self, rules: &[LinuxDeviceCgroup]) -> io::Result<Option<String>> {
        let program = program(rules);
        let loaded = match load_device_filter(&program) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
                // In other user namespaces no device node can be made: a filter would add nothing.
                return Ok(in_first_namespace().then(|| {
                    format!("access to devices is not limited: the kernel refuses the filter ({e})")
                }));
            }
            done => done.context(|| "load the device filter".into())?,
        };
        let Some(cgroup) = self.birthplace()? else {
            return Ok(None);
        };
        replace_device_filter(cgroup.as_fd(), loaded.as_fd())
            .context(|| "attach the device filter".into())?;
        Ok(None)
    }
}

/// A rule as the files of v1 take it.
fn v1_rule(rule: &LinuxDeviceCgroup) -> String {
    let number = |n: Option<i64>| {
        n.filter(|n| *n >= 0)
            .map_or_else(|| "*".to_owned(), |n| n.to_string())
    };
    let kind = match rule.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::U => LinuxDeviceType::C,
        kind => kind,
    };
    let access = rule
        .access()
        .as_deref()
        .filter(|a| !a.is_empty())
        .unwrap_or("rwm");
    format!(
        "{} {}:{} {access}",
        kind.as_str(),
        number(rule.major()),
        number(rule.minor())
    )
}

// Source: Linux, uapi/linux/bpf.h.
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;
const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const MOVE_REGISTER: u8 = 0xbc;
const MOVE: u8 = 0xb7;
const JUMP_EQUAL: u8 = 0x15;
const JUMP_NOT_EQUAL: u8 = 0x55;
const JUMP_NOT_EQUAL_REGISTER: u8 = 0x5d;
const EXIT: u8 = 0x95;
// Registers as the program uses them.
const RESULT: u8 = 0;
const SCRATCH: u8 = 1;
const TYPE: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers,
        offset,
        immediate,
    }
}

/// The program: the last rule that fits decides, so they are asked from the last to the first.
fn program(rules: &[LinuxDeviceCgroup]) -> Vec<Instruction> {
    let mut program = vec![
        // struct bpf_cgroup_dev_ctx { u32 access_type (access << 16 | type), major, minor }, in register 1.
        instruction(LOAD_WORD, TYPE | SCRATCH << 4, 0, 0),
        instruction(AND, TYPE, 0, 0xffff),
        instruction(LOAD_WORD, ACCESS | SCRATCH << 4, 0, 0),
        instruction(SHIFT_RIGHT, ACCESS, 0, 16),
        instruction(LOAD_WORD, MAJOR | SCRATCH << 4, 4, 0),
        instruction(LOAD_WORD, MINOR | SCRATCH << 4, 8, 0),
    ];
    let always: Vec<_> = always().collect();
    let all: Vec<_> = rules.iter().chain(&always).rev().collect();
    for alike in all.chunk_by(|a, b| alike(a, b)) {
        let block = block(alike);
        let unconditional = block.len() == 2;
        program.extend(block);
        if unconditional {
            // Nothing before it can decide any more, and the verifier refuses code that is never reached.
            return program;
        }
    }
    program.extend(decide(false));
    program
}

fn decide(allow: bool) -> [Instruction; 2] {
    [
        instruction(MOVE, RESULT, 0, allow.into()),
        instruction(EXIT, 0, 0, 0),
    ]
}

/// Neighbours that differ in their minor numbers only are one question, which the kernel checks in half the time.
fn alike(one: &LinuxDeviceCgroup, other: &LinuxDeviceCgroup) -> bool {
    let number = |n: Option<i64>| n.filter(|n| *n >= 0);
    let rest = |rule: &LinuxDeviceCgroup| {
        (
            rule.allow(),
            rule.typ(),
            number(rule.major()),
            rule.access().clone(),
        )
    };
    number(one.minor()).is_some() && number(other.minor()).is_some() && rest(one) == rest(other)
}

/// What rules that are [`alike`] do: decide, or jump over themselves.
fn block(rules: &[&LinuxDeviceCgroup]) -> Vec<Instruction> {
    let mut block = Vec::new();
    let rule = rules[0];
    let kind = match rule.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::A => None,
        LinuxDeviceType::B => Some(BLOCK),
        LinuxDeviceType::C | LinuxDeviceType::U => Some(CHARACTER),
        // Fifos are no devices.
        LinuxDeviceType::P => return block,
    };
    let access = rule
        .access()
        .as_deref()
        .filter(|a| !a.is_empty())
        .unwrap_or("rwm");
    let access: i32 = [('m', MKNOD), ('r', READ), ('w', WRITE)]
        .iter()
        .filter(|(letter, _)| access.contains(*letter))
        .map(|(_, bit)| bit)
        .sum();
    if let Some(kind) = kind {
        block.push(instruction(JUMP_NOT_EQUAL, TYPE, 0, kind));
    }
    if access != MKNOD | READ | WRITE {
        block.push(instruction(MOVE_REGISTER, SCRATCH | ACCESS << 4, 0, 0));
        block.push(instruction(AND, SCRATCH, 0, access));
        block.push(if rule.allow() {
            // All that is wanted must be allowed,
            instruction(JUMP_NOT_EQUAL_REGISTER, SCRATCH | ACCESS << 4, 0, 0)
        } else {
            // and nothing of it denied.
            instruction(JUMP_EQUAL, SCRATCH, 0, 0)
        });
    }
    let number = |n: Option<i64>| n.filter(|n| *n >= 0).map(|n| n as i32);
    if let Some(major) = number(rule.major()) {
        block.push(instruction(JUMP_NOT_EQUAL, MAJOR, 0, major));
    }
    let mut minors: Vec<_> = rules.iter().filter_map(|rule| number(rule.minor())).collect();
    let last = minors.pop();
    block.extend(
        minors
            .iter()
            .map(|minor| instruction(JUMP_EQUAL, MINOR, 0, *minor)),
    );
    block.extend(last.map(|minor| instruction(JUMP_NOT_EQUAL, MINOR, 0, minor)));
    let decision = block.len();
    block.extend(decide(rule.allow()));
    let end = block.len();
    for (at, one) in block.iter_mut().enumerate() {
        let to = match (one.code, one.registers) {
            // One of several minor numbers.
            (JUMP_EQUAL, MINOR) => decision,
            (JUMP_EQUAL | JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER, _) => end,
            _ => continue,
        };
        one.offset = (to - at - 1) as i16;
    }
    block
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use oci_spec::runtime::LinuxDeviceCgroupBuilder;

    use super::*;

    fn rule(
        allow: bool,
        kind: LinuxDeviceType,
        numbers: Option<(i64, i64)>,
        access: &str,
    ) -> LinuxDeviceCgroup {
        let mut rule = LinuxDeviceCgroupBuilder::default()
            .allow(allow)
            .typ(kind)
            .access(access)
            .build()
            .unwrap();
        rule.set_major(numbers.map(|(major, _)| major));
        rule.set_minor(numbers.map(|(_, minor)| minor));
        rule
    }

    /// What the program answers, by a small machine of our own.
    fn answer(program: &[Instruction], kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0_i64; 8];
        let mut at = 0;
        loop {
            let i = program[at];
            let (to, from) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
            let jump = match i.code {
                LOAD_WORD => {
                    assert_eq!(from, usize::from(SCRATCH));
                    registers[to] = context[i.offset as usize / 4].into();
                    false
                }
                AND => {
                    registers[to] &= i64::from(i.immediate);
                    false
                }
                SHIFT_RIGHT => {
                    registers[to] >>= i.immediate;
                    false
                }
                MOVE_REGISTER => {
                    registers[to] = registers[from];
                    false
                }
                MOVE => {
                    registers[to] = i.immediate.into();
                    false
                }
                JUMP_EQUAL => registers[to] == i64::from(i.immediate),
                JUMP_NOT_EQUAL => registers[to] != i64::from(i.immediate),
                JUMP_NOT_EQUAL_REGISTER => registers[to] != registers[from],
                EXIT => return registers[usize::from(RESULT)] == 1,
                code => panic!("instruction {code:#x}"),
            };
            at += 1 + if jump { i.offset as usize } else { 0 };
        }
    }

    #[test]
    fn the_last_rule_that_fits_decides() {
        let rules = [
            rule(false, LinuxDeviceType::A, None, "rwm"),
            rule(true, LinuxDeviceType::B, Some((8, 0)), "r"),
            rule(true, LinuxDeviceType::C, Some((10, 229)), "rw"),
            rule(false, LinuxDeviceType::C, Some((10, 229)), "w"),
        ];
        let program = program(&rules);
        assert!(answer(&program, BLOCK, READ, 8, 0));
        assert!(!answer(&program, BLOCK, READ | WRITE, 8, 0));
        assert!(!answer(&program, BLOCK, READ, 8, 1));
        assert!(!answer(&program, CHARACTER, READ, 8, 0));
        assert!(answer(&program, CHARACTER, READ, 10, 229));
        assert!(!answer(&program, CHARACTER, WRITE, 10, 229));
        // What every container may use.
        assert!(answer(&program, CHARACTER, READ | WRITE, 1, 3));
        assert!(answer(&program, CHARACTER, MKNOD, 77, 7));
        assert!(!answer(&program, CHARACTER, READ, 77, 7));
        for (major, minor, allowed) in [
            (1, 3, true),
            (1, 4, false),
            (1, 9, true),
            (5, 0, true),
            (5, 3, false),
            (136, 70, true),
        ] {
            assert_eq!(
                answer(&program, CHARACTER, READ, major, minor),
                allowed,
                "{major}:{minor}"
            );
            assert!(!answer(&program, BLOCK, READ, major, minor));
        }
    }

    #[test]
    fn rules_that_differ_in_their_minor_number_are_one_question() {
        let of = |minors: &[i64]| -> Vec<_> {
            let one = |minor| rule(true, LinuxDeviceType::C, Some((10, minor)), "rw");
            minors.iter().map(|minor| one(*minor)).collect()
        };
        assert_eq!(program(&of(&[1, 2, 3])).len(), program(&of(&[1])).len() + 2);
        // An order that matters is kept.
        let mut rules = of(&[1, 2]);
        rules.insert(1, rule(false, LinuxDeviceType::C, Some((10, 1)), "r"));
        let program = program(&rules);
        assert!(!answer(&program, CHARACTER, READ, 10, 1) && answer(&program, CHARACTER, READ, 10, 2));
    }

    #[test]
    fn rules_of_v1_are_written_with_stars() {
        let everything = rule(false, LinuxDeviceType::A, None, "rwm");
        assert_eq!(v1_rule(&everything), "a *:* rwm");
        assert_eq!(
            v1_rule(&rule(true, LinuxDeviceType::U, Some((4, -1)), "r")),
            "c 4:* r"
        );
    }

    #[test]
    fn a_rule_for_everything_ends_the_program() {
        let everything = program(&[rule(true, LinuxDeviceType::A, None, "rwm")]);
        assert!(answer(&everything, BLOCK, READ | WRITE | MKNOD, 8, 0));
        let more = program(&[
            rule(false, LinuxDeviceType::B, Some((8, 0)), "rwm"),
            rule(true, LinuxDeviceType::A, None, "rwm"),
        ]);
        assert_eq!(more, everything);
    }

    /// A cgroup of our own; gone when dropped.
    struct Own(PathBuf);

    impl Drop for Own {
        fn drop(&mut self) {
            let _ = fs::remove_dir(&self.0);
        }
    }

    #[test]
    fn the_kernel_takes_the_program_and_keeps_to_it() {
        let top = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .map(Path::new)
            .into_iter()
            .find(|top| top.join("cgroup.controllers").exists());
        let rules = [rule(false, LinuxDeviceType::A, None, "rwm")];
        let (Some(top), Ok(filter)) = (top, load_device_filter(&program(&rules))) else {
            eprintln!("skipped: no cgroup v2, or no right to load a filter");
            return;
        };
        let own = Own(top.join(format!("skiff-devices-{}", std::process::id())));
        fs::create_dir(&own.0).unwrap();
        let dir = fs::File::open(&own.0).unwrap();
        let may_open = |device: &str| {
            let script = "echo $$ > \"$1/cgroup.procs\" && (: < \"$2\")";
            std::process::Command::new("sh")
                .args(["-c", script, "sh"])
                .args([&own.0, Path::new(device)])
                .output()
                .is_ok_and(|done| done.status.success())
        };
        // First one that allows everything, whose place the second takes.
        let open = load_device_filter(&program(&[rule(true, LinuxDeviceType::A, None, "rwm")])).unwrap();
        replace_device_filter(dir.as_fd(), open.as_fd()).unwrap();
        let other = "/dev/fuse";
        let has_other = may_open(other);
        replace_device_filter(dir.as_fd(), filter.as_fd()).unwrap();
        assert!(may_open("/dev/null"));
        assert!(!may_open(other));
        if !has_other {
            eprintln!("skipped: no {other} to be denied");
        }
    }
}
