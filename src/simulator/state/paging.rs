//! Pages of a listing, with tokens that are bound to what was asked for.

use crate::simulator::wire::{ApiError, Code, decode, digest, encode};

/// What a listing asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Where to go on.
    pub next_token: Option<String>,
    /// The most entries of a page.
    pub page_size: Option<i64>,
}

/// A page's own limits and what its tokens are bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paging<'a> {
    /// The page size where none is asked for.
    pub default_size: usize,
    /// The largest page size.
    pub max_size: usize,
    /// The error of a token that is not of this listing.
    pub token_error: Code,
    /// Operation, region and filters: the token is refused with any other.
    pub bound_to: &'a [&'a str],
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its entries.
    pub entries: Vec<T>,
    /// The token of the next page, if there is one.
    pub next_token: Option<String>,
}

const BINDING_BYTES: usize = 8;

impl Paging<'_> {
    /// Cuts a page out of `entries`, which come in ascending order of their keys. The page begins after the key the
    /// token names, so that entries made or removed between two pages neither repeat others nor hide them.
    pub(super) fn page<T>(
        &self,
        request: &PageRequest,
        entries: impl Iterator<Item = (String, T)>,
    ) -> Result<Page<T>, ApiError> {
        let size = self.size(request.page_size)?;
        let after = request
            .next_token
            .as_deref()
            .map(|token| self.read(token))
            .transpose()?;
        let mut rest = entries.skip_while(|(key, _)| after.as_ref().is_some_and(|after| key <= after));
        let mut page = Vec::new();
        let mut last = String::new();
        for (key, entry) in rest.by_ref().take(size) {
            last = key;
            page.push(entry);
        }
        let next_token = rest.next().map(|_| self.token(&last));
        Ok(Page {
            entries: page,
            next_token,
        })
    }

    fn size(&self, asked: Option<i64>) -> Result<usize, ApiError> {
        let Some(asked) = asked else {
            return Ok(self.default_size);
        };
        usize::try_from(asked)
            .ok()
            .filter(|size| (1..=self.max_size).contains(size))
            .ok_or_else(|| {
                ApiError::bad_request(format!(
                    "PageSize must be between 1 and {}, it is {asked}.",
                    self.max_size
                ))
            })
    }

    fn binding(&self) -> [u8; BINDING_BYTES] {
        let mut binding = [0; BINDING_BYTES];
        binding.copy_from_slice(&digest(self.bound_to)[..BINDING_BYTES]);
        binding
    }

    fn token(&self, last: &str) -> String {
        encode(&[self.binding().as_slice(), last.as_bytes()].concat())
    }

    fn read(&self, token: &str) -> Result<String, ApiError> {
        decode(token)
            .and_then(|bytes| bytes.strip_prefix(self.binding().as_slice()).map(<[u8]>::to_vec))
            .and_then(|last| String::from_utf8(last).ok())
            .ok_or_else(|| {
                ApiError::new(
                    self.token_error,
                    "The NextToken is not valid for this operation and these filters.",
                )
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const PAGING: Paging<'static> = Paging {
        default_size: 2,
        max_size: 3,
        token_error: Code::InvalidNextToken,
        bound_to: &["ListConfigurationSets", "us-east-1", ""],
    };

    fn entries(names: &[&str]) -> Vec<(String, String)> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), (*name).to_owned()))
            .collect()
    }

    fn next(token: Option<String>) -> PageRequest {
        PageRequest {
            next_token: token,
            page_size: None,
        }
    }

    #[test]
    fn pages_follow_each_other_and_the_last_has_no_token() {
        let all = entries(&["a", "b", "c"]);
        let first = PAGING.page(&PageRequest::default(), all.clone().into_iter()).unwrap();
        assert_eq!(first.entries, ["a", "b"]);
        let second = PAGING.page(&next(first.next_token), all.into_iter()).unwrap();
        assert_eq!(
            second,
            Page {
                entries: vec!["c".to_owned()],
                next_token: None
            }
        );
    }

    #[test]
    fn a_full_last_page_has_no_token() {
        assert_eq!(
            PAGING
                .page(&PageRequest::default(), entries(&["a", "b"]).into_iter())
                .unwrap()
                .next_token,
            None
        );
    }

    #[test]
    fn an_entry_removed_between_two_pages_hides_no_other() {
        let first = PAGING
            .page(&PageRequest::default(), entries(&["a", "b", "c", "d"]).into_iter())
            .unwrap();
        let second = PAGING
            .page(&next(first.next_token), entries(&["c", "d"]).into_iter())
            .unwrap();
        assert_eq!(second.entries, ["c", "d"]);
    }

    #[test]
    fn a_token_of_other_filters_is_refused() {
        let token = PAGING
            .page(&PageRequest::default(), entries(&["a", "b", "c"]).into_iter())
            .unwrap()
            .next_token;
        let other = Paging {
            bound_to: &["ListConfigurationSets", "us-east-1", "team"],
            ..PAGING
        };
        let error = other.page(&next(token), entries(&["a"]).into_iter()).unwrap_err();
        assert_eq!(error.code, Code::InvalidNextToken);
    }

    #[test]
    fn a_made_up_token_and_a_page_size_out_of_range_are_refused() {
        let garbage = PAGING
            .page(&next(Some("garbage".to_owned())), entries(&["a"]).into_iter())
            .unwrap_err();
        assert_eq!(garbage.code, Code::InvalidNextToken);
        for page_size in [0, -1, 4] {
            let request = PageRequest {
                next_token: None,
                page_size: Some(page_size),
            };
            assert_eq!(
                PAGING.page(&request, entries(&["a"]).into_iter()).unwrap_err().code,
                Code::BadRequest
            );
        }
    }
}
