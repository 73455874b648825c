//! Expands `#[entity]` on an `impl` block or a function: the dispatch of its operations, and the proxy that calls them.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, FnArg, Ident, ImplItem, ImplItemFn, ItemFn, ItemImpl, LitStr, Result, ReturnType, Signature, Type};

use crate::function::{NameArgument, is_result, last_segment_is, output_type, plain};

/// The item that has the attribute.
pub enum Item {
    Impl(ItemImpl),
    Function(ItemFn),
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        // Both may begin with attributes; an item that parses as an `impl` block is one.
        let fork = input.fork();
        if fork.parse::<ItemImpl>().is_ok() {
            return input.parse().map(Self::Impl);
        }
        let wrong = input.error("an entity is an `impl` block of a type, or a `fn`");
        input.parse().map(Self::Function).map_err(|_| wrong)
    }
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Impl(item) => item.to_tokens(tokens),
            Self::Function(item) => item.to_tokens(tokens),
        }
    }
}

pub fn expand(name: NameArgument, item: &Item) -> Result<TokenStream> {
    match item {
        Item::Impl(item) => of_methods(name, item),
        Item::Function(item) => of_function(name, item),
    }
}

/// One operation: a method and the roles of its parameters.
struct Operation<'a> {
    method: &'a ImplItemFn,
    takes_context: bool,
    input: Option<&'a Type>,
}

fn of_methods(name: NameArgument, item: &ItemImpl) -> Result<TokenStream> {
    let ident = state_ident(item)?;
    let name = name.or_named(ident);
    let operations = operations(item)?;
    let arms = operations.iter().map(|operation| arm(&name, operation));
    let deletes = (!operations.iter().any(|operation| operation.wire_name() == "delete")).then(|| {
        quote! {
            "delete" => {
                context.delete_on_exit();
                ::dacapo_sdk::__private::encode_output(#name, &())
            }
        }
    });
    let proxy = format_ident!("{}Proxy", ident);
    let calls = operations.iter().map(proxy_method);
    let doc = format!("The operations of the entity `{ident}`, for orchestrators: see `Context::entity`.");
    let items = [
        quote! {
            impl ::dacapo_sdk::__private::DispatchOperation for #ident {
                const NAME: &'static str = #name;
                type State = Self;

                fn dispatch(
                    state: &mut Self,
                    context: &::dacapo_sdk::EntityContext,
                ) -> ::dacapo_sdk::Result<::std::string::String> {
                    let json = context.input_json();
                    match context.operation_name().to_ascii_lowercase().as_str() {
                        #(#arms)*
                        #deletes
                        _ => ::std::result::Result::Err(context.operation_not_found()),
                    }
                }
            }
        },
        quote! {
            #[doc = #doc]
            #[allow(dead_code)]
            pub struct #proxy(::dacapo_sdk::EntityProxy);
        },
        quote! {
            #[allow(dead_code, private_interfaces)]
            impl #proxy {
                #(#calls)*
            }
        },
        quote! {
            impl ::std::convert::From<::dacapo_sdk::EntityProxy> for #proxy {
                fn from(proxy: ::dacapo_sdk::EntityProxy) -> Self {
                    Self(proxy)
                }
            }
        },
        quote! {
            impl ::std::ops::Deref for #proxy {
                type Target = ::dacapo_sdk::EntityProxy;

                fn deref(&self) -> &Self::Target {
                    &self.0
                }
            }
        },
    ];
    let cfgs = cfgs(&item.attrs);
    Ok(items.into_iter().chain(entry(ident, &name, &quote!(#proxy))).map(|item| quote!(#cfgs #item)).collect())
}

fn of_function(name: NameArgument, item: &ItemFn) -> Result<TokenStream> {
    check_signature(&item.sig)?;
    let ident = &item.sig.ident;
    let name = name.or_named(ident);
    let parameters: Vec<_> = item.sig.inputs.iter().collect();
    let state = match parameters.as_slice() {
        [FnArg::Typed(_), FnArg::Typed(state)] => match &*state.ty {
            Type::Reference(state) if state.mutability.is_some() => &*state.elem,
            other => return Err(Error::new_spanned(other, "an entity takes its state as `&mut State`")),
        },
        _ => {
            return Err(Error::new_spanned(&item.sig, "an entity takes a `&EntityContext` and its state, as `&mut State`"));
        }
    };
    let outcome = encode(&name, &item.sig.output, quote!(#ident(context, state)));
    let (visibility, cfgs) = (&item.vis, cfgs(&item.attrs));
    let doc = format!("Represents the entity `{ident}` in ids and in `app!`.");
    let items = [
        quote! {
            #[doc = #doc]
            #[allow(non_camel_case_types, dead_code)]
            #visibility struct #ident {}
        },
        quote! {
            impl ::dacapo_sdk::__private::DispatchOperation for #ident {
                const NAME: &'static str = #name;
                type State = #state;

                fn dispatch(
                    state: &mut #state,
                    context: &::dacapo_sdk::EntityContext,
                ) -> ::dacapo_sdk::Result<::std::string::String> {
                    #outcome
                }
            }
        },
    ];
    let entry = entry(ident, &name, &quote!(::dacapo_sdk::EntityProxy));
    Ok(items.into_iter().chain(entry).map(|item| quote!(#cfgs #item)).collect())
}

/// The implementations that `app!` and ids need.
fn entry(ident: &Ident, name: &LitStr, proxy: &TokenStream) -> [TokenStream; 2] {
    [
        quote! {
            impl ::dacapo_sdk::Entity for #ident {
                const NAME: &'static str = #name;
                type Proxy = #proxy;
            }
        },
        quote! {
            impl ::dacapo_sdk::__private::Registered for #ident {
                fn entry() -> ::dacapo_sdk::__private::Entry {
                    ::dacapo_sdk::__private::Entry::entity::<#ident>()
                }
            }
        },
    ]
}

/// Returns the type that the block is for: a plain type without parameters.
fn state_ident(item: &ItemImpl) -> Result<&Ident> {
    if let Some((_, of, _)) = &item.trait_ {
        return Err(Error::new_spanned(of, "an entity is an `impl` block of a type, not of a trait"));
    }
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "an entity has no generic parameters"));
    }
    match &*item.self_ty {
        Type::Path(path) if path.qself.is_none() => path
            .path
            .get_ident()
            .ok_or_else(|| Error::new_spanned(path, "an entity is a type of this module, without parameters")),
        other => Err(Error::new_spanned(other, "an entity is a struct or an enum")),
    }
}

fn operations(item: &ItemImpl) -> Result<Vec<Operation<'_>>> {
    let methods = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(method) if method.sig.receiver().is_some() => Some(method),
        _ => None,
    });
    let operations = methods.map(Operation::of).collect::<Result<Vec<_>>>()?;
    if operations.is_empty() {
        return Err(Error::new_spanned(
            &item.self_ty,
            "an entity has at least one operation: a method with `&self` or `&mut self`",
        ));
    }
    Ok(operations)
}

impl<'a> Operation<'a> {
    fn of(method: &'a ImplItemFn) -> Result<Self> {
        check_signature(&method.sig)?;
        let mut types = Vec::new();
        for argument in &method.sig.inputs {
            match argument {
                FnArg::Typed(typed) => types.push(&*typed.ty),
                FnArg::Receiver(this) if this.reference.is_some() && this.colon_token.is_none() => {}
                FnArg::Receiver(this) => {
                    return Err(Error::new_spanned(this, "an operation takes `&self` or `&mut self`: the host keeps the state"));
                }
            }
        }
        let (takes_context, rest) = match types.as_slice() {
            [first, rest @ ..] if is_entity_context(first) => (true, rest),
            all => (false, all),
        };
        match rest {
            [] => Ok(Self { method, takes_context, input: None }),
            [input] => Ok(Self { method, takes_context, input: Some(input) }),
            [_, more, ..] => Err(Error::new_spanned(more, "an operation has one input: put the values into a tuple or a struct")),
        }
    }

    /// The name that callers use, in lower case.
    fn wire_name(&self) -> String {
        plain(&self.method.sig.ident).to_ascii_lowercase()
    }
}

fn check_signature(signature: &Signature) -> Result<()> {
    if let Some(asyncness) = signature.asyncness {
        return Err(Error::new_spanned(asyncness, "an operation is a plain `fn`: it must not wait for anything"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "an operation has no generic parameters"));
    }
    if let Some(unsafety) = signature.unsafety {
        return Err(Error::new_spanned(unsafety, "an operation cannot be unsafe"));
    }
    Ok(())
}

fn is_entity_context(parameter: &Type) -> bool {
    match parameter {
        Type::Reference(reference) => last_segment_is(&reference.elem, "EntityContext"),
        _ => false,
    }
}

/// Generates the match arm that runs an operation.
fn arm(name: &LitStr, operation: &Operation<'_>) -> TokenStream {
    let Operation { method, takes_context, input } = operation;
    let (ident, wire_name) = (&method.sig.ident, operation.wire_name());
    let label = format!("{}.{}", name.value(), plain(ident));
    let cfgs = cfgs(&method.attrs);
    let context = takes_context.then(|| quote!(context,));
    let decode = input.map(|input| quote!(let input = ::dacapo_sdk::__private::decode_input::<#input>(#label, json)?;));
    let input = input.map(|_| quote!(input));
    let outcome = encode(&LitStr::new(&label, ident.span()), &method.sig.output, quote!(Self::#ident(state, #context #input)));
    quote! {
        #cfgs
        #wire_name => {
            #decode
            #outcome
        }
    }
}

/// Generates a call and the conversion of its output to JSON.
fn encode(label: &LitStr, output: &ReturnType, call: TokenStream) -> TokenStream {
    match output {
        ReturnType::Default => quote! {
            #call;
            ::dacapo_sdk::__private::encode_output(#label, &())
        },
        ReturnType::Type(_, output) if is_result(output) => quote! {
            ::dacapo_sdk::__private::encode_output(#label, &::dacapo_sdk::__private::Fallible::into_result(#call)?)
        },
        ReturnType::Type(..) => quote!(::dacapo_sdk::__private::encode_output(#label, &#call)),
    }
}

/// Generates the proxy's method for an operation, with the same visibility.
fn proxy_method(operation: &Operation<'_>) -> TokenStream {
    let Operation { method, input, .. } = operation;
    let (ident, visibility, cfgs) = (&method.sig.ident, &method.vis, cfgs(&method.attrs));
    let name = plain(ident);
    let output = output_type(&method.sig.output);
    let docs = method.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let parameter = input.map(|input| quote!(, input: #input));
    let argument = input.map_or_else(|| quote!(&()), |_| quote!(&input));
    // The lifetime makes the compiler check the bounds at the call, not at the definition: an entity whose proxy is not
    // used may have inputs that are only `Deserialize` and outputs that are only `Serialize`.
    let input_bound = input.map(|input| quote!(for<'__call> #input: ::dacapo_sdk::__private::Serialize,));
    quote! {
        #(#docs)*
        #cfgs
        #visibility fn #ident(&self #parameter) -> ::dacapo_sdk::EntityCall<#output>
        where
            #input_bound
            for<'__call> #output: ::dacapo_sdk::__private::DeserializeOwned,
        {
            self.0.call(#name, #argument)
        }
    }
}

fn cfgs(attributes: &[Attribute]) -> TokenStream {
    let cfgs = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    quote!(#(#cfgs)*)
}
