//! Binding of pods to nodes, one or many in one log entry.

use bytes::Bytes;
use serde_json::{Value, json};
use skiff_resources::Part;
use skiff_store::{Compare, Op, Txn};

use super::{
    Registry, RequestContext, Target, meta,
    write::{Preconditions, Tracking, check_uid},
};
use crate::status::Status;

/// A scheduling decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// Pod namespace.
    pub namespace: String,
    /// Pod name.
    pub name: String,
    /// Pod uid (precondition); empty: any.
    pub uid: String,
    /// Node name.
    pub node: String,
}

/// How many pods go into one transaction: a few thousand bytes each, well under the size limit.
const BATCH: usize = 128;

impl Registry {
    fn pods(&self) -> Result<&'static skiff_resources::Resource, Status> {
        self.resource("", "v1", "pods").ok_or_else(Status::no_such_path)
    }

    /// Binds one pod. `annotations` and `labels` of the Binding object are copied to the pod.
    ///
    /// # Errors
    /// 404, 409 when the pod is bound or being deleted.
    pub async fn bind(&self, ctx: &RequestContext, binding: &Binding, object: &Value) -> Result<(), Status> {
        let resource = self.pods()?;
        let target = Target {
            resource,
            namespace: &binding.namespace,
            name: &binding.name,
        };
        self.modify(
            ctx,
            &target,
            Part::Other("binding"),
            Tracking::Needed,
            &Preconditions::default(),
            |old| {
                let mut pod = bound(&target, old, binding)?;
                for field in ["annotations", "labels"] {
                    for (key, value) in object["metadata"][field].as_object().into_iter().flatten() {
                        pod["metadata"][field][key] = value.clone();
                    }
                }
                Ok(pod)
            },
        )
        .await?;
        Ok(())
    }

    /// Binds many pods, as many as possible in one transaction. One result per binding, in order.
    pub async fn bind_many(&self, bindings: &[Binding]) -> Vec<Result<(), Status>> {
        let mut results: Vec<Option<Result<(), Status>>> = vec![None; bindings.len()];
        let resource = match self.pods() {
            Ok(resource) => resource,
            Err(status) => return vec![Err(status); bindings.len()],
        };
        let mut open: Vec<usize> = (0..bindings.len()).collect();
        while !open.is_empty() {
            let batch: Vec<usize> = open.iter().copied().take(BATCH).collect();
            let mut txn = Txn::default();
            let mut keys: Vec<(usize, Bytes)> = Vec::new();
            for index in batch {
                let binding = &bindings[index];
                let target = Target {
                    resource,
                    namespace: &binding.namespace,
                    name: &binding.name,
                };
                match self.bind_ops(&target, binding) {
                    Ok((compare, op)) => {
                        txn.compare.push(compare);
                        txn.ops.push(op);
                        keys.push((index, target.key()));
                    }
                    Err(status) => results[index] = Some(Err(status)),
                }
            }
            if !txn.ops.is_empty() {
                match self.store().commit(txn).await {
                    Ok(_) => keys.iter().for_each(|(index, _)| results[*index] = Some(Ok(()))),
                    // One of them changed: all are looked at again, and that one either still fits or fails.
                    Err(skiff_store::Error::Conflict { .. }) => {}
                    Err(error) => {
                        let status = Status::from(error);
                        keys.iter()
                            .for_each(|(index, _)| results[*index] = Some(Err(status.clone())));
                    }
                }
            }
            open.retain(|index| results[*index].is_none());
        }
        results
            .into_iter()
            .map(|r| r.unwrap_or_else(|| Err(Status::internal("a binding was not tried"))))
            .collect()
    }

    fn bind_ops(&self, target: &Target<'_>, binding: &Binding) -> Result<(Compare, Op), Status> {
        let key = target.key();
        let entry = self
            .store()
            .get(&key)
            .ok_or_else(|| Status::not_found(target.resource, target.name))?;
        let old = self.parse(&entry)?;
        let pod = bound(target, &old, binding)?;
        let value = self.inner.parts.codec.encode(target.resource, &key, &pod)?;
        Ok((Compare::At(key.clone(), entry.mod_revision), Op::Put(key, value)))
    }
}

/// The pod with its node. Source: `pkg/registry/core/pod/storage`, `setPodNodeAndMetadata`.
fn bound(target: &Target<'_>, pod: &Value, binding: &Binding) -> Result<Value, Status> {
    let refused = |why: String| {
        let mut status = Status::conflict(target.resource, target.name, &why);
        status.message = format!(
            "Operation cannot be fulfilled on pods/binding \"{}\": {why}",
            target.name
        );
        status
    };
    check_uid(target, &binding.uid, Some(pod))?;
    if meta::deleting(pod) {
        return Err(refused(format!(
            "pod {} is being deleted, cannot be assigned to a host",
            target.name
        )));
    }
    let node = meta::text(pod, &["spec", "nodeName"]);
    if !node.is_empty() {
        return Err(refused(format!(
            "pod {} is already assigned to node \"{node}\"",
            target.name
        )));
    }
    if pod["spec"]["schedulingGates"]
        .as_array()
        .is_some_and(|g| !g.is_empty())
    {
        return Err(refused(format!(
            "pod {} has non-empty .spec.schedulingGates",
            target.name
        )));
    }
    let mut pod = pod.clone();
    pod["spec"]["nodeName"] = json!(binding.node);
    let scheduled = json!({
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": null,
        "lastTransitionTime": meta::rfc3339(meta::now()),
    });
    let status = meta::child(&mut pod, "status");
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    if let Some(conditions) = conditions.as_array_mut() {
        conditions.retain(|c| c["type"] != "PodScheduled");
        conditions.push(scheduled);
    }
    Ok(pod)
}
