//! Edits of attributes on resources, spans and events, as written and compiled.
//!
//! It decides nothing about sampling. Whatever it does not touch is written as it came, unknown fields included.

use crate::{
    document::{Findings, Node},
    wire::{Prepend, ResourceView, ScopeView, SpanView, Wanted},
};

/// The compiled list of edits, immutable: a reload makes a new one.
#[derive(Debug, Default)]
pub struct Enricher {}

/// Edits the parts of one request. Its scratch memory is kept from part to part, so nothing is allocated per span.
#[derive(Debug)]
pub struct Editing<'a> {
    _enricher: &'a Enricher,
}

impl Enricher {
    /// Reads the list `enrichment` at the dotted path `key`; everything wrong is reported. `hash_key` is the content of
    /// `enrichment_hash_key_file`.
    pub fn read(
        _list: &Node,
        _key: &str,
        _hash_key: Option<&[u8]>,
        _findings: &mut Findings,
    ) -> Self {
        unimplemented!()
    }

    /// What the edits read of a span.
    pub fn wanted(&self) -> Wanted {
        unimplemented!()
    }

    /// Whether there is no edit at all.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }

    /// Starts on a request.
    pub fn editing(&self) -> Editing<'_> {
        unimplemented!()
    }
}

impl<'a> Editing<'a> {
    /// The parts that follow have this resource. Whether the edits change it.
    pub fn enter_resource(&mut self, _resource: ResourceView<'a>) -> bool {
        unimplemented!()
    }

    /// Writes the resource entered last, edited: the message without its tag and length.
    pub fn write_resource(&mut self, _out: &mut Prepend) {
        unimplemented!()
    }

    /// The spans that follow have this scope. Whether any edit may apply to them at all.
    pub fn enter_scope(&mut self, _scope: ScopeView<'a>) -> bool {
        unimplemented!()
    }

    /// Writes a span edited, and with `trace_state` instead of its own where one is given: the message without its tag
    /// and length. Writes nothing and returns false when nothing changes.
    pub fn write_span(
        &mut self,
        _span: SpanView<'a>,
        _trace_state: Option<&[u8]>,
        _out: &mut Prepend,
    ) -> bool {
        unimplemented!()
    }
}
