//! Forms with files: `multipart/form-data` (RFC 7578).

use crate::failure::Result;
use crate::fields::bad_request;

/// One field or file of a form. From [`Request::multipart`](crate::Request::multipart).
///
/// ```
/// # use dacapo_sdk::prelude::*;
/// # use dacapo_sdk::FormPart;
/// fn size_of_photo(request: &Request) -> Result<Option<usize>> {
///     let parts: Vec<FormPart> = request.multipart()?;
///     Ok(parts.iter().find(|part| part.name == "photo" && part.file_name.is_some()).map(|photo| photo.body.len()))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormPart {
    /// The name of the field.
    pub name: String,
    /// The name of the file, as the client gives it; none if this is no file.
    pub file_name: Option<String>,
    /// The type of the content, if the client gives it.
    pub content_type: Option<String>,
    /// The content.
    pub body: Vec<u8>,
}

/// Reads the parts of a body. `content_type` is that of the request.
pub(crate) fn parse(content_type: &str, body: &[u8]) -> Result<Vec<FormPart>> {
    let boundary = parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty());
    let boundary = boundary.ok_or_else(|| bad_request(format!("the `content-type` `{content_type}` has no `boundary`")))?;
    let cut = || bad_request(format!("the form does not end with its boundary `--{boundary}--`"));
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line break before it if nothing is before it.
    let first = &delimiter[2..];
    let mut rest = match body.strip_prefix(first.as_bytes()) {
        Some(rest) => rest,
        None => split(body, delimiter.as_bytes()).ok_or_else(cut)?.1,
    };
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let (padding, after) = split(rest, b"\r\n").ok_or_else(cut)?;
        if !padding.trim_ascii().is_empty() {
            return Err(bad_request(format!("a boundary `--{boundary}` of the form is not on a line of its own")));
        }
        // A part without headers begins with the empty line.
        let (headers, after) = match after.strip_prefix(b"\r\n") {
            Some(after) => (&b""[..], after),
            None => split(after, b"\r\n\r\n").ok_or_else(cut)?,
        };
        let (content, after) = split(after, delimiter.as_bytes()).ok_or_else(cut)?;
        parts.push(FormPart::new(&String::from_utf8_lossy(headers), content)?);
        rest = after;
    }
    Ok(parts)
}

impl FormPart {
    fn new(headers: &str, content: &[u8]) -> Result<Self> {
        let header = |name: &str| {
            let lines = headers.split("\r\n").filter_map(|line| line.split_once(':'));
            let mut values = lines.filter(|(header, _)| header.trim().eq_ignore_ascii_case(name));
            values.next().map(|(_, value)| value.trim())
        };
        let disposition = header("content-disposition").unwrap_or_default();
        let name = parameter(disposition, "name").ok_or_else(|| bad_request("a part of the form has no name"))?;
        Ok(Self {
            name,
            file_name: parameter(disposition, "filename"),
            content_type: header("content-type").map(str::to_owned),
            body: content.to_vec(),
        })
    }
}

/// Returns what is before and after the first `separator`.
fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

/// Returns a parameter of the value of a header: `value; name="text"; other=text`.
fn parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start());
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after.split_once(';')?.1;
    }
}

/// Reads a value, in quotes or not, and returns what follows it. Only quotes are escaped: clients send the backslashes of a
/// path as they are, and a browser writes a quote as `%22`.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim_end().to_owned(), &text[end..]);
    };
    let end = quoted.char_indices().find(|(at, c)| *c == '"' && !quoted[..*at].ends_with('\\')).map(|(at, _)| at);
    let (value, after) = quoted.split_at(end.unwrap_or(quoted.len()));
    (value.replace("\\\"", "\"").replace("%22", "\""), after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; charset=utf-8; boundary=\"-x-\"";

    fn part(name: &str, file_name: Option<&str>, content_type: Option<&str>, body: &[u8]) -> FormPart {
        FormPart {
            name: name.to_owned(),
            file_name: file_name.map(str::to_owned),
            content_type: content_type.map(str::to_owned),
            body: body.to_vec(),
        }
    }

    #[test]
    fn fields_and_files_are_read() {
        let body = b"preamble\r\n---x-  \r\nContent-Disposition: form-data; name=\"item\"\r\n\r\na lamp\r\n--\r\n---x-\r\n\
            content-type:image/png\r\ncontent-disposition: form-data; filename=\"C:\\a\\\"b\\\".png\"; name=photo\r\n\r\n\x89\r\n\xff\
            \r\n---x-\r\nContent-Disposition: form-data; name=\"%22\"\r\n\r\n\r\n---x---\r\nepilogue";
        let expected = [
            part("item", None, None, b"a lamp\r\n--"),
            part("photo", Some("C:\\a\"b\".png"), Some("image/png"), b"\x89\r\n\xff"),
            part("\"", None, None, b""),
        ];
        assert_eq!(parse(TYPE, body).unwrap(), expected);
        assert_eq!(parse("multipart/form-data; boundary=-x-", b"---x---"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_form_is_told() {
        let check = |content_type: &str, body: &str, why: &str| {
            let failure = parse(content_type, body.as_bytes()).unwrap_err();
            assert!(failure.is("BadRequest") && failure.message.contains(why), "{body}: {failure}");
        };
        check("multipart/form-data", "", "has no `boundary`");
        check("multipart/form-data; boundary=", "", "has no `boundary`");
        for cut in ["", "---x-", "---x-\r\n", "---x-\r\nContent-Disposition: form-data; name=a\r\n\r\nb", "a---x---"] {
            check(TYPE, cut, "does not end with its boundary `---x---`");
        }
        check(TYPE, "---x-y\r\n\r\na\r\n---x---", "not on a line of its own");
        check(TYPE, "---x-\r\n\r\na\r\n---x---", "a part of the form has no name");
        check(TYPE, "---x-\r\nContent-Disposition: form-data; filename=a\r\n\r\na\r\n---x---", "a part of the form has no name");
    }
}
