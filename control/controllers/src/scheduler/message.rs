//! Why a pod can't be placed, in Kubernetes' words.

use std::collections::BTreeMap;

use super::filter::Reason;

/// `0/3 nodes are available: 1 Insufficient cpu, … . preemption: …`, from the reasons of each node.
pub fn unschedulable(refused: &[Vec<Reason>]) -> String {
    let total = refused.len();
    if total == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in refused.iter().flatten() {
        *counts.entry(&reason.text).or_default() += 1;
    }
    let helpful = refused.iter().filter(|r| r.iter().all(|r| r.is_room)).count();
    let mut preemption = Vec::new();
    if helpful > 0 {
        preemption.push(format!("{helpful} No preemption victims found for incoming pod"));
    }
    if helpful < total {
        preemption.push(format!(
            "{} Preemption is not helpful for scheduling",
            total - helpful
        ));
    }
    let reasons = sorted(counts.into_iter().map(|(text, n)| format!("{n} {text}")));
    let preemption = sorted(preemption.into_iter());
    format!(
        "0/{total} nodes are available: {reasons}. preemption: 0/{total} nodes are available: {preemption}."
    )
}

fn sorted(parts: impl Iterator<Item = String>) -> String {
    let mut parts: Vec<String> = parts.collect();
    parts.sort();
    parts.join(", ")
}
