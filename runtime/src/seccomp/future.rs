//! System calls of kernels to come.
//!
//! A profile lists calls that its author knew. One that is newer than all of them gets the default answer of the profile,
//! "not permitted" mostly, and a C library that has a fallback for kernels without the call never tries it. So calls with
//! higher numbers than any in the profile are answered with `ENOSYS`, by instructions in front of the compiled filter, as
//! runc does.

use libseccomp::{ScmpArch, ScmpSyscall};
use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction};

/// Offsets in `struct seccomp_data`. Source: linux/seccomp.h.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// The bit in the numbers of x32, which has the architecture of x86-64. Source: `__X32_SYSCALL_BIT`.
const X32: u32 = 0x4000_0000;

/// Source: linux/bpf_common.h, linux/seccomp.h.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_NOT_LESS: u16 = 0x35;
const RETURN: u16 = 0x06;
const RETURN_ERRNO: u32 = 0x0005_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    value: u32,
}

impl Instruction {
    fn plain(code: u16, value: u32) -> Self {
        Self::branch(code, value, 0, 0)
    }

    fn branch(code: u16, value: u32, if_true: u8, if_false: u8) -> Self {
        Instruction {
            code,
            if_true,
            if_false,
            value,
        }
    }
}

/// Instructions to put in front of the filter of a profile; none where the default lets calls through, or a tracer knows
/// what to do with them.
pub(super) fn prologue(profile: &LinuxSeccomp) -> Vec<u8> {
    use LinuxSeccompAction as Action;
    let lets_through = matches!(
        profile.default_action(),
        Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace
    );
    if lets_through || profile.default_errno_ret() == Some(libc::ENOSYS as u32) {
        return Vec::new();
    }
    let mut architectures = profile.architectures().clone().unwrap_or_default();
    architectures.extend(native());
    let mut last: Vec<(u32, u32)> = Vec::new();
    for arch in architectures {
        if let Some(number) = last_call(profile, arch)
            && !last.iter().any(|(known, _)| *known == arch as u32)
        {
            last.push((arch as u32, number));
        }
    }
    instructions(&last)
        .into_iter()
        .flat_map(|i| {
            let [a, b] = i.code.to_ne_bytes();
            let [c, d, e, f] = i.value.to_ne_bytes();
            [a, b, i.if_true, i.if_false, c, d, e, f]
        })
        .collect()
}

/// The architecture of this program, which every filter has.
fn native() -> Option<Arch> {
    match std::env::consts::ARCH {
        "x86_64" => Some(Arch::ScmpArchX86_64),
        "aarch64" => Some(Arch::ScmpArchAarch64),
        _ => None,
    }
}

/// The highest number of a call that the profile names.
fn last_call(profile: &LinuxSeccomp, arch: Arch) -> Option<u32> {
    let known: ScmpArch = super::architecture(arch).ok()?;
    let names = profile.syscalls().iter().flatten().flat_map(|rule| rule.names());
    names
        .filter_map(|name| ScmpSyscall::from_name_by_arch(name, known).ok())
        // Calls that this architecture has not have a negative number.
        .filter_map(|call| u32::try_from(i32::from(call)).ok())
        .max()
}

/// `last`: audit number of an architecture, and its highest call.
fn instructions(last: &[(u32, u32)]) -> Vec<Instruction> {
    // x32 is told from x86-64 by the number only.
    let x86_64 = Arch::ScmpArchX86_64 as u32;
    let x32 = last
        .iter()
        .find(|(arch, _)| *arch == Arch::ScmpArchX32 as u32)
        .map(|(_, number)| *number);
    let sections: Vec<Vec<Instruction>> = last
        .iter()
        .filter(|(arch, _)| *arch != Arch::ScmpArchX32 as u32)
        .map(|&(arch, number)| {
            let refuse = Instruction::plain(RETURN, RETURN_ERRNO | libc::ENOSYS as u32);
            let mut section = vec![Instruction::plain(LOAD, NUMBER)];
            match x32.filter(|_| arch == x86_64) {
                Some(x32) => section.extend([
                    Instruction::branch(IF_NOT_LESS, X32, 3, 0),
                    Instruction::branch(IF_GREATER, number, 0, 1),
                    refuse,
                    Instruction::plain(JUMP, 2),
                    Instruction::branch(IF_GREATER, x32 | X32, 0, 1),
                    refuse,
                ]),
                None => section.extend([Instruction::branch(IF_GREATER, number, 0, 1), refuse]),
            }
            section.insert(0, Instruction::branch(IF_EQUAL, arch, 0, section.len() as u8 + 1));
            section
        })
        .collect();
    if sections.is_empty() {
        return Vec::new();
    }
    let mut all = vec![Instruction::plain(LOAD, ARCHITECTURE)];
    let mut left: usize = sections.iter().map(|section| section.len() + 1).sum();
    for section in sections {
        left -= section.len() + 1;
        all.extend(section);
        // On to the filter, past the other architectures.
        all.push(Instruction::plain(JUMP, left as u32));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the instructions make of a call: `None`, it goes on to the filter.
    fn run(program: &[Instruction], arch: u32, number: u32) -> Option<u32> {
        let (mut at, mut accumulator) = (0, 0);
        while let Some(i) = program.get(at) {
            let holds = match i.code {
                LOAD => {
                    accumulator = if i.value == NUMBER { number } else { arch };
                    true
                }
                JUMP => {
                    at += i.value as usize;
                    true
                }
                IF_EQUAL => accumulator == i.value,
                IF_GREATER => accumulator > i.value,
                IF_NOT_LESS => accumulator >= i.value,
                RETURN => return Some(i.value),
                code => panic!("{code:#x}"),
            };
            at += 1 + usize::from(if holds { i.if_true } else { i.if_false });
        }
        assert_eq!(at, program.len(), "a jump past the end");
        None
    }

    #[test]
    fn calls_behind_the_last_one_are_not_there() {
        let (x86_64, x86, x32) = (
            Arch::ScmpArchX86_64 as u32,
            Arch::ScmpArchX86 as u32,
            Arch::ScmpArchX32 as u32,
        );
        let refused = Some(RETURN_ERRNO | libc::ENOSYS as u32);
        for with_x32 in [false, true] {
            let mut last = vec![(x86_64, 300), (x86, 400)];
            if with_x32 {
                last.insert(1, (x32, 350));
            }
            let program = instructions(&last);
            for (arch, number, expected) in [
                (x86_64, 0, None),
                (x86_64, 300, None),
                (x86_64, 301, refused),
                (x86, 301, None),
                (x86, 401, refused),
                (Arch::ScmpArchAarch64 as u32, 9999, None),
                (x86_64, X32 | 350, if with_x32 { None } else { refused }),
                (x86_64, X32 | 351, refused),
            ] {
                assert_eq!(
                    run(&program, arch, number),
                    expected,
                    "{arch:#x} {number} {with_x32}"
                );
            }
        }
        assert!(instructions(&[]).is_empty());
    }

    #[test]
    fn only_profiles_that_refuse_by_default_need_it() {
        let profile = |default: &str| -> LinuxSeccomp {
            serde_json::from_str(&format!(
                r#"{{"defaultAction":"{default}","syscalls":[{{"names":["read","openat2"],"action":"SCMP_ACT_ALLOW"}}]}}"#
            ))
            .unwrap()
        };
        assert!(prologue(&profile("SCMP_ACT_ALLOW")).is_empty());
        let filter = prologue(&profile("SCMP_ACT_ERRNO"));
        assert!(!filter.is_empty() && filter.len().is_multiple_of(8));
    }
}
