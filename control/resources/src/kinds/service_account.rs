//! ServiceAccount.

use serde_json::Value;

use crate::{
    Column, FieldError, Strategy,
    print::{self, AGE, NAME},
    validate::{
        Errors,
        meta::{self as metadata, Scope},
        names,
    },
};

pub(crate) struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        errors.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![print::name(object), print::age(object, now)]
    }
}
