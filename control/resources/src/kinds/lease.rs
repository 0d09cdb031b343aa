//! Lease.

use serde_json::Value;

use crate::{
    Column, FieldError, Strategy,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names,
    },
    value::{has, int, text},
};

pub(crate) struct Lease;

impl Strategy for Lease {
    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        let path = Path::root("spec");
        if let Some(seconds) = int(object, "spec.leaseDurationSeconds").filter(|s| *s <= 0) {
            errors.invalid(
                &path.field("leaseDurationSeconds"),
                seconds,
                "must be greater than 0",
            );
        }
        errors.not_negative(
            &path.field("leaseTransitions"),
            int(object, "spec.leaseTransitions"),
        );
        if has(object, "spec.preferredHolder") && text(object, "spec.strategy").is_empty() {
            errors.forbidden(
                &path.field("preferredHolder"),
                "may only be specified if `strategy` is defined",
            );
        }
        errors.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, column("Holder", "string", "Who holds the lease."), AGE];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            print::name(object),
            text(object, "spec.holderIdentity").into(),
            print::age(object, now),
        ]
    }
}
