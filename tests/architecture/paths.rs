//! Which paths a source file names, outside its tests.
//!
//! The file is split into tokens and not parsed: comments and strings are no paths, and what a macro is given is looked
//! at like everything else.

use std::collections::HashMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path with every alias, `self` and `super` resolved, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The segments: the first is `crate` for our own, else a crate or something local. The last may be `*`.
    pub(crate) segments: Vec<String>,
    /// The line in the file.
    pub(crate) line: usize,
}

/// The paths that `source`, the file of the module `module` (`["policy", "meet"]`), names outside `#[cfg(test)]`.
pub(crate) fn paths(source: &str, module: &[&str]) -> Result<Vec<Named>, String> {
    let tokens: TokenStream = source.parse().map_err(|error| format!("{error}"))?;
    let mut found = Found::default();
    let module: Vec<String> = module.iter().map(|&segment| segment.to_owned()).collect();
    scan(&tokens.into_iter().collect::<Vec<_>>(), &module, &mut found);

    let Found {
        mut named,
        aliases,
        mentioned,
    } = found;
    for Named { mut segments, line } in mentioned {
        if let Some(of) = aliases.get(&segments[0]) {
            segments.splice(..1, of.iter().cloned());
        }
        named.push(Named { segments, line });
    }
    Ok(named)
}

#[derive(Default)]
struct Found {
    /// By `use`.
    named: Vec<Named>,
    /// What a name that `use` brings into scope stands for.
    aliases: HashMap<String, Vec<String>>,
    /// Anywhere else; the first segment may be an alias.
    mentioned: Vec<Named>,
}

fn scan(tokens: &[TokenTree], module: &[String], found: &mut Found) {
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        rest = if is_test_attribute(rest) {
            after_item(&rest[2..])
        } else if let Some((name, body)) = inline_module(rest) {
            let inner: Vec<String> = module.iter().cloned().chain([name]).collect();
            scan(&body, &inner, found);
            &rest[3..]
        } else if word(first).is_some_and(|word| word == "use") {
            let end = rest.iter().position(|token| is_punct(token, ';')).unwrap_or(rest.len());
            use_tree(&rest[1..end], &[], module, found);
            &rest[end..]
        } else if word(first).is_some() {
            let (segments, after) = path(rest);
            let line = first.span().start().line;
            if segments.len() > 1 {
                found.mentioned.push(Named {
                    segments: resolve(&segments, module),
                    line,
                });
            }
            after
        } else {
            if let TokenTree::Group(group) = first {
                scan(&group.stream().into_iter().collect::<Vec<_>>(), module, found);
            }
            &rest[1..]
        };
    }
}

/// One `a::b::{c, d as e, f::*}` behind `use`, or a branch of it behind `prefix`.
fn use_tree(tokens: &[TokenTree], prefix: &[String], module: &[String], found: &mut Found) {
    let Some(first) = tokens.iter().find(|token| !is_punct(token, ':')) else {
        return;
    };
    let line = first.span().start().line;
    let tokens = if is_punct(&tokens[0], ':') {
        &tokens[2..]
    } else {
        tokens
    };
    let (segments, rest) = path(tokens);
    let mut whole: Vec<String> = prefix.iter().cloned().chain(segments).collect();

    match rest.iter().find(|token| !is_punct(token, ':')) {
        Some(TokenTree::Group(group)) => {
            let branches: Vec<TokenTree> = group.stream().into_iter().collect();
            for branch in branches.split(|token| is_punct(token, ',')) {
                use_tree(branch, &whole, module, found);
            }
        }
        Some(star) if is_punct(star, '*') => {
            whole.push("*".to_owned());
            found.named.push(Named {
                segments: resolve(&whole, module),
                line,
            });
        }
        renamed => {
            if whole.len() > 1 && whole.last().is_some_and(|last| last == "self") {
                whole.pop();
            }
            // What follows a finished path can only be `as name`.
            let name = renamed
                .and_then(|_as| rest.last())
                .and_then(word)
                .or_else(|| whole.last().cloned());
            let segments = resolve(&whole, module);
            found.aliases.extend(name.map(|name| (name, segments.clone())));
            found.named.push(Named { segments, line });
        }
    }
}

/// The longest `a::b::c` at the beginning, and what follows it.
fn path(tokens: &[TokenTree]) -> (Vec<String>, &[TokenTree]) {
    let Some(first) = tokens.first().and_then(word) else {
        return (Vec::new(), tokens);
    };
    let mut segments = vec![first];
    let mut rest = &tokens[1..];
    while let [one, two, three, ..] = rest
        && is_punct(one, ':')
        && is_punct(two, ':')
        && let Some(next) = word(three)
    {
        segments.push(next);
        rest = &rest[3..];
    }
    (segments, rest)
}

/// Makes `self` and `super` paths from the crate.
fn resolve(segments: &[String], module: &[String]) -> Vec<String> {
    let ups = segments.iter().take_while(|segment| *segment == "super").count();
    let from_here = ups > 0 || segments.first().is_some_and(|first| first == "self");
    if !from_here {
        return segments.to_vec();
    }
    let base = &module[..module.len().saturating_sub(ups)];
    let named = &segments[ups.max(1)..];
    let crate_root = ["crate".to_owned()];
    crate_root.iter().chain(base).chain(named).cloned().collect()
}

/// `#[cfg(test)]`
fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let [hash, TokenTree::Group(attribute), ..] = tokens else {
        return false;
    };
    is_punct(hash, '#') && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// What follows the item that begins here: a `use` or a declaration ends with `;`, everything else with its block.
fn after_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let is_use = tokens.first().and_then(word).is_some_and(|word| word == "use");
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => !is_use && group.delimiter() == Delimiter::Brace,
        other => is_punct(other, ';'),
    };
    tokens.iter().position(ends).map_or(&[], |end| &tokens[end + 1..])
}

/// `mod name { … }`
fn inline_module(tokens: &[TokenTree]) -> Option<(String, Vec<TokenTree>)> {
    let [keyword, name, TokenTree::Group(body), ..] = tokens else {
        return None;
    };
    let is_module = word(keyword)? == "mod" && body.delimiter() == Delimiter::Brace;
    is_module
        .then(|| Some((word(name)?, body.stream().into_iter().collect())))
        .flatten()
}

fn word(token: &TokenTree) -> Option<String> {
    let TokenTree::Ident(ident) = token else { return None };
    Some(ident.to_string())
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
