//! The paths of MAIL and RCPT: an address in angle brackets, directly after the colon.

use crate::api::address::{Address, AddressError};

use super::fault::Fault;

/// A path without its brackets, and the parameters after it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    pub(super) address: &'a str,
    pub(super) parameters: Vec<&'a str>,
}

/// What one of the two commands looks like.
#[derive(Debug)]
pub(super) struct Form {
    /// `FROM:` or `TO:`.
    pub(super) keyword: &'static str,
    /// What to write instead of what was written.
    pub(super) example: &'static str,
    /// RFC 3463's code for an address that is none.
    pub(super) bad_address: (u8, u8, u8),
}

/// Takes `FROM:<address> PARAMETER ...` apart.
///
/// The first `>` ends the path: one within a quoted local part, which this is not, would be followed by what other
/// parsers take for parameters.
pub(super) fn split<'a>(arguments: &'a str, form: &Form) -> Result<Path<'a>, Fault> {
    let keyword = arguments.get(..form.keyword.len());
    if !keyword.is_some_and(|keyword| keyword.eq_ignore_ascii_case(form.keyword)) {
        return Err(Fault::arguments(form.example));
    }
    let path = &arguments[form.keyword.len()..];
    if path.starts_with([' ', '\t']) {
        return Err(Fault::arguments("No space may follow the colon"));
    }
    let Some((address, rest)) = path.strip_prefix('<').and_then(|path| path.split_once('>')) else {
        return Err(Fault::arguments(form.example));
    };
    if rest.is_empty() {
        return Ok(Path {
            address,
            parameters: Vec::new(),
        });
    }
    let Some(rest) = rest.strip_prefix(' ') else {
        // Either no space, or more of an address that held a `>`.
        return Err(Fault::arguments(
            "One space belongs between the address and a parameter",
        ));
    };
    let parameters: Vec<&str> = rest.split(' ').collect();
    if parameters.contains(&"") {
        return Err(Fault::arguments("One space belongs between two parameters"));
    }
    Ok(Path { address, parameters })
}

/// Parses what stood between the brackets. The texts never repeat it.
pub(super) fn address(text: &str, form: &Form) -> Result<Address, Fault> {
    let refused = |text: &str| Fault::refused(501, form.bad_address, text);
    let domain = text.rsplit_once('@').map_or("", |(_, domain)| domain);
    let known = if text.starts_with('@') {
        Some("Source routes are not accepted: write <name@example.com>")
    } else if text.contains('"') {
        Some("Quoted local parts are not accepted: write <name@example.com>")
    } else if text.contains(['(', ')']) {
        Some("Comments are not accepted: write <name@example.com>")
    } else if domain.starts_with('[') {
        Some("An IP address is no domain here: write <name@example.com>")
    } else if domain.ends_with('.') {
        Some("A domain has no dot at its end: write <name@example.com>")
    } else {
        None
    };
    if let Some(text) = known {
        return Err(refused(text));
    }
    Address::parse(text).map_err(|error| match error {
        AddressError::Domain(_) => refused("The part after the @ is no domain name: write <name@example.com>"),
        own @ (AddressError::NoAt | AddressError::LocalPart | AddressError::EncodedWord | AddressError::TooLong) => {
            refused(&own.to_string())
        }
    })
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
