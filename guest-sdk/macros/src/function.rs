//! Expands `#[orchestrator]` and `#[activity]`: generates the type that represents a function in calls and in `app!`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Error, FnArg, ItemFn, LitStr, Result, ReturnType, Token, Type};

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Orchestrator,
    Activity,
}

/// The argument of the attribute: nothing, or `name = "..."`.
pub struct NameArgument(Option<LitStr>);

impl Parse for NameArgument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Ok(Self(None));
        }
        let key: syn::Ident = input.parse()?;
        if key != "name" {
            return Err(Error::new(key.span(), "the only argument is `name = \"...\"`"));
        }
        input.parse::<Token![=]>()?;
        let name: LitStr = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        check_name(&name)?;
        Ok(Self(Some(name)))
    }
}

impl NameArgument {
    /// Returns the given name, or the name of the item.
    pub fn or_named(self, ident: &syn::Ident) -> LitStr {
        self.0.unwrap_or_else(|| LitStr::new(&plain(ident), ident.span()))
    }
}

/// The parameters of the annotated function and their roles.
struct Parameters<'a> {
    context: Option<&'a Type>,
    input: Option<&'a Type>,
}

pub fn expand(kind: Kind, name: NameArgument, item: &ItemFn) -> Result<TokenStream> {
    check_signature(kind, item)?;
    let parameters = parameters(kind, item)?;
    let ident = &item.sig.ident;
    let name = name.or_named(ident);
    let visibility = &item.vis;
    let input = parameters.input.map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let output = output_type(&item.sig.output);
    let body = body(item, &name, &parameters);
    let (role, entry) = match kind {
        Kind::Orchestrator => (quote!(Orchestrator), quote!(orchestrator)),
        Kind::Activity => (quote!(Activity), quote!(activity)),
    };
    let decode = match parameters.input {
        Some(_) => quote!(let input = ::dacapo_sdk::__private::decode_input::<#input>(#name, &json)?;),
        None => quote!(let _ = json;),
    };
    let doc = format!("Represents the function `{ident}` in calls and in `app!`.");
    let cfgs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    let cfgs = quote!(#(#cfgs)*);
    Ok(quote! {
        #[doc = #doc]
        #[allow(non_camel_case_types, dead_code)]
        #cfgs
        #visibility struct #ident {}

        #cfgs
        impl ::dacapo_sdk::#role for #ident {
            type Input = #input;
            type Output = #output;
            const NAME: &'static str = #name;
        }

        #cfgs
        impl ::dacapo_sdk::__private::Registered for #ident {
            fn entry() -> ::dacapo_sdk::__private::Entry {
                ::dacapo_sdk::__private::Entry::#entry(#name, |context, json| ::std::boxed::Box::pin(async move {
                    let _ = &context;
                    #decode
                    #body
                }))
            }
        }
    })
}

fn check_signature(kind: Kind, item: &ItemFn) -> Result<()> {
    let signature = &item.sig;
    if kind == Kind::Orchestrator && signature.asyncness.is_none() {
        return Err(Error::new_spanned(signature.fn_token, "an orchestrator is an `async fn`"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a durable function has no generic parameters"));
    }
    if let Some(unsafety) = signature.unsafety {
        return Err(Error::new_spanned(unsafety, "a durable function cannot be unsafe"));
    }
    if let Some(variadic) = &signature.variadic {
        return Err(Error::new_spanned(variadic, "a durable function has one input at most"));
    }
    Ok(())
}

/// The host's rule for function names.
pub fn check_name(name: &LitStr) -> Result<()> {
    let value = name.value();
    let length = value.chars().count();
    if !(1..=128).contains(&length) {
        return Err(Error::new(name.span(), "a function name has 1 to 128 characters"));
    }
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Error::new(name.span(), "a function name has no white space or control characters"));
    }
    Ok(())
}

fn parameters(kind: Kind, item: &ItemFn) -> Result<Parameters<'_>> {
    let mut types = Vec::new();
    for argument in &item.sig.inputs {
        match argument {
            FnArg::Typed(typed) => types.push(&*typed.ty),
            FnArg::Receiver(this) => return Err(Error::new_spanned(this, "a durable function is not a method")),
        }
    }
    match (kind, types.as_slice()) {
        (Kind::Orchestrator, []) => {
            Err(Error::new_spanned(&item.sig, "an orchestrator takes a `Context`, and an input if it wants one"))
        }
        (Kind::Orchestrator, [context]) => Ok(Parameters { context: Some(context), input: None }),
        (Kind::Activity, []) => Ok(Parameters { context: None, input: None }),
        (Kind::Activity, [only]) if is_activity_context(only) => Ok(Parameters { context: Some(only), input: None }),
        (Kind::Activity, [only]) => Ok(Parameters { context: None, input: Some(only) }),
        (_, [context, input]) => Ok(Parameters { context: Some(context), input: Some(input) }),
        (_, [_, _, more, ..]) => {
            Err(Error::new_spanned(more, "a durable function has one input: put the values into a tuple or a struct"))
        }
    }
}

fn is_activity_context(parameter: &Type) -> bool {
    match parameter {
        Type::Reference(reference) => is_activity_context(&reference.elem),
        other => last_segment_is(other, "ActivityContext"),
    }
}

pub fn last_segment_is(parameter: &Type, name: &str) -> bool {
    match parameter {
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == name),
        _ => false,
    }
}

/// Returns `T` for `Result<T, E>`, or for an alias of it whose name is `Result`; any other type is the output itself.
pub fn output_type(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, output) if is_result(output) => quote!(<#output as ::dacapo_sdk::__private::Fallible>::Output),
        ReturnType::Type(_, output) => output.to_token_stream(),
    }
}

pub fn is_result(output: &Type) -> bool {
    last_segment_is(output, "Result")
}

/// Generates the call and the conversion of its output to JSON.
fn body(item: &ItemFn, name: &LitStr, parameters: &Parameters<'_>) -> TokenStream {
    let ident = &item.sig.ident;
    let context = parameters.context.map(|parameter| match parameter {
        Type::Reference(_) => quote!(&context,),
        _ => quote!(context,),
    });
    let input = parameters.input.map(|_| quote!(input));
    let wait = item.sig.asyncness.map(|_| quote!(.await));
    let call = quote!(#ident(#context #input)#wait);
    match &item.sig.output {
        ReturnType::Default => quote! {
            #call;
            ::dacapo_sdk::__private::encode_output(#name, &())
        },
        ReturnType::Type(_, output) if is_result(output) => quote! {
            ::dacapo_sdk::__private::encode_output(#name, &::dacapo_sdk::__private::Fallible::into_result(#call)?)
        },
        ReturnType::Type(..) => quote! {
            ::dacapo_sdk::__private::encode_output(#name, &#call)
        },
    }
}

/// Returns the name without a raw prefix: `match` for `r#match`.
pub fn plain(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or(text.clone(), str::to_owned)
}
