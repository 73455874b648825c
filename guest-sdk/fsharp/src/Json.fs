/// Conversion of values to and from JSON, by their types.
///
/// | F#                                          | JSON                                                                |
/// |---------------------------------------------|---------------------------------------------------------------------|
/// | record, anonymous record                    | object; on reading, names may differ in case, and others are ignored |
/// | `option`                                    | `null` or the value; a missing member is `None`                     |
/// | list, array, `seq`, set, tuple              | array                                                               |
/// | `Map`, `Dictionary`                         | object if keys are texts or integers, or else an array of pairs     |
/// | union whose cases have no fields            | string                                                              |
/// | union of one case with one field            | the value of the field                                              |
/// | other union                                 | `{"Case": name, "Fields": [...]}`, `Fields` only if there are any   |
/// | enum                                        | number; on reading, its name too                                    |
/// | `int64`, `uint64`, `decimal`, `bigint`      | number, or a string if a number would lose digits                   |
/// | `DateTime`, `DateTimeOffset`                | string, RFC 3339; a `DateTime` is UTC                               |
/// | `DateOnly`, `TimeOnly`, `TimeSpan`, `Guid`  | string                                                              |
/// | `byte[]`                                    | string, Base64                                                      |
/// | `unit`                                      | `null`; on reading, anything                                        |
/// | `obj`                                       | whatever JSON it is                                                 |
namespace Dacapo

open System
open System.Collections.Generic
open FSharp.Reflection
open Fable.Core
open Fable.Core.JsInterop

/// The place of a value in a JSON document, for errors.
type internal Place =
    | Whole
    | Member of Place * string
    | Element of Place * int

/// A conversion, with values of any type.
type internal Conversion = { Encode: obj -> obj; Decode: Place -> obj -> obj }

module internal Js =
    [<Emit("Array.isArray($0)")>]
    let isArray (_: obj) : bool = jsNative

    [<Emit("typeof $0 === 'object' && $0 !== null && !Array.isArray($0)")>]
    let isObject (_: obj) : bool = jsNative

    [<Emit("$0 === null || $0 === undefined")>]
    let isNull (_: obj) : bool = jsNative

    [<Emit("Object.keys($0)")>]
    let keys (_: obj) : string[] = jsNative

    [<Emit("JSON.stringify($0) ?? 'undefined'")>]
    let text (_: obj) : string = jsNative

    [<Emit("JSON.stringify($0 ?? null)")>]
    let textOrNull (_: obj) : string = jsNative

    [<Emit("$0 === undefined")>]
    let isUndefined (_: obj) : bool = jsNative

    [<Emit("ArrayBuffer.isView($0) ? Array.from($0) : $0")>]
    let plain (_: obj) : obj = jsNative

    [<Emit("Number.isInteger($0)")>]
    let isInteger (_: float) : bool = jsNative

    [<Emit("Number.isSafeInteger($0)")>]
    let isSafeInteger (_: float) : bool = jsNative

    [<Emit("Number($0)")>]
    let toNumber (_: obj) : float = jsNative

    [<Emit("BigInt($0)")>]
    let toBigInteger (_: obj) : obj = jsNative

    [<Emit("BigInt.asIntN(64, $0) === $0")>]
    let isInt64 (_: obj) : bool = jsNative

    [<Emit("BigInt.asUintN(64, $0) === $0")>]
    let isUInt64 (_: obj) : bool = jsNative

    [<Emit("Array.from($0)")>]
    let toArray (_: obj) : obj[] = jsNative

    [<Emit("globalThis[$0].from($1)")>]
    let toTypedArray (_: string) (_: obj[]) : obj = jsNative

    [<Emit("Date.parse($0)")>]
    let parseDate (_: string) : float = jsNative

module internal Misfit =
    let rec private path place =
        match place with
        | Whole -> ""
        | Member(outer, name) -> $"{path outer}.{name}"
        | Element(outer, index) -> $"{path outer}[{index}]"

    let private shown (json: obj) =
        let text = Js.text json
        if text.Length > 60 then text.Substring(0, 60) + "..." else text

    /// An error that is completed with what the whole document is, by `Json.decode`.
    exception Misfit of string

    let fail place (expected: string) (json: obj) : 'T =
        let place = match place with Whole -> "it" | _ -> path place
        let found = if Js.isUndefined json then "is missing" else $"is {shown json}"
        raise (Misfit $"{place} {found}, and must be {expected}")

/// What a type is called in F#.
module internal TypeName =
    let private simple =
        dict [
            "System.Int32", "int"
            "System.Int64", "int64"
            "System.Double", "float"
            "System.Single", "float32"
            "System.String", "string"
            "System.Boolean", "bool"
            "System.Object", "obj"
            "System.Byte", "byte"
            "System.Char", "char"
            "System.Decimal", "decimal"
            "System.Numerics.BigInteger", "bigint"
            "Microsoft.FSharp.Core.Unit", "unit"
        ]

    /// The name without that of its module, and without its generic arguments.
    let private plain (fullName: string) =
        let name = fullName.Split([| '`'; '[' |]).[0]
        name.Substring(name.LastIndexOf '.' + 1)

    let rec of' (t: Type) : string =
        if t.IsArray then
            $"{of' (t.GetElementType())}[]"
        elif t.FullName = "" && FSharpType.IsRecord t then
            let fields = FSharpType.GetRecordFields t |> Array.map (fun field -> $"{field.Name}: {of' field.PropertyType}")
            let fields = String.Join("; ", fields)
            $"{{| {fields} |}}"
        elif FSharpType.IsTuple t then
            String.Join(" * ", FSharpType.GetTupleElements t |> Array.map of')
        elif t.IsEnum then
            plain t.FullName
        elif t.IsGenericType then
            let arguments = t.GetGenericArguments() |> Array.map of'
            match plain t.FullName with
            | "FSharpOption" -> $"{arguments.[0]} option"
            | "FSharpList" -> $"{arguments.[0]} list"
            | "IEnumerable" -> $"{arguments.[0]} seq"
            | "FSharpFunc" -> String.Join(" -> ", arguments)
            | name ->
                let name = if name.StartsWith "FSharp" then name.Substring 6 else name
                let arguments = String.Join(", ", arguments)
                $"{name}<{arguments}>"
        else
            match simple.TryGetValue t.FullName with
            | true, name -> name
            | false, _ -> plain t.FullName

module internal Conversions =
    open Misfit

    let private same (read: Place -> obj -> obj) = { Encode = id; Decode = read }

    let private number =
        same (fun place json -> match json with :? float -> json | _ -> fail place "a number" json)

    let private float' =
        { number with
            Encode =
                fun value ->
                    if Double.IsNaN(unbox value) || Double.IsInfinity(unbox value) then
                        raise (DurableException("InvalidValue", $"the number {value} has no form in JSON", retriable = false))
                    value }

    let private integer name least most =
        same (fun place json ->
            match json with
            | :? float as value when Js.isInteger value && value >= least && value <= most -> json
            | _ -> fail place $"an integer ({name})" json)

    let private string' = same (fun place json -> match json with :? string -> json | _ -> fail place "a string" json)

    /// Converts to and from a text. `read` may throw.
    let private text (expected: string) (write: 'T -> string) (read: string -> 'T) =
        { Encode = fun value -> box (write (unbox value))
          Decode =
            fun place json ->
                match json with
                | :? string as text -> (try box (read text) with _ -> fail place expected json)
                | _ -> fail place expected json }

    /// A number that may have more digits than one of JavaScript.
    let private long (expected: string) (isExact: obj -> bool) (write: obj -> string) (read: string -> obj) =
        { Encode = fun value -> if isExact value then box (Js.toNumber value) else box (write value)
          Decode =
            fun place json ->
                match json with
                | :? float
                | :? string -> (try read (string json) with _ -> fail place expected json)
                | _ -> fail place expected json }

    let private wholeNumber expected (fits: obj -> bool) =
        let read (text: string) =
            let value = Js.toBigInteger (text.Trim())
            if text.Trim() = "" || not (fits value) then failwith "it is out of range" else value
        long expected (Js.toNumber >> Js.isSafeInteger) string read

    let private decimal' =
        let isExact (value: obj) =
            let number = float (unbox<decimal> value)
            decimal number = unbox<decimal> value
        long "a decimal number" isExact (fun value -> string (unbox<decimal> value)) (fun text -> box (Decimal.Parse text))

    /// RFC 3339, whatever the number of decimals; UTC if there is no offset.
    let private instant (text: string) : DateTime =
        let text = Text.RegularExpressions.Regex.Replace(text.Trim(), @"(\.\d{3})\d+", "$1")
        let hasOffset = Text.RegularExpressions.Regex.IsMatch(text, @"([zZ]|[+-]\d\d:?\d\d)$")
        let milliseconds = Js.parseDate (if text.Contains "T" && not hasOffset then text + "Z" else text)
        if Double.IsNaN milliseconds then failwith "it is no time"
        DateTimeOffset.FromUnixTimeMilliseconds(int64 milliseconds).UtcDateTime

    /// The same, with its offset.
    let private instantWithOffset (text: string) : DateTimeOffset =
        let utc = DateTimeOffset(instant text)
        let offset = Text.RegularExpressions.Regex.Match(text.Trim(), @"([+-])(\d\d):?(\d\d)$")
        if not offset.Success then
            utc
        else
            let minutes = float (60 * int offset.Groups.[2].Value + int offset.Groups.[3].Value)
            utc.ToOffset(TimeSpan.FromMinutes(if offset.Groups.[1].Value = "-" then -minutes else minutes))

    let private simple =
        dict [
            "System.String", string'
            "System.Char", text "a string of one character" (fun (value: char) -> string value) (fun text ->
                if text.Length <> 1 then failwith "it is longer" else text.[0])
            "System.Boolean", same (fun place json -> match json with :? bool -> json | _ -> fail place "true or false" json)
            "System.Double", float'
            "System.Single", float'
            "System.SByte", integer "sbyte" -128.0 127.0
            "System.Byte", integer "byte" 0.0 255.0
            "System.Int16", integer "int16" -32768.0 32767.0
            "System.UInt16", integer "uint16" 0.0 65535.0
            "System.Int32", integer "int" -2147483648.0 2147483647.0
            "System.UInt32", integer "uint32" 0.0 4294967295.0
            "System.Int64", wholeNumber "an integer (int64)" Js.isInt64
            "System.UInt64", wholeNumber "an integer (uint64)" Js.isUInt64
            "System.Numerics.BigInteger", wholeNumber "an integer (bigint)" (fun _ -> true)
            "System.Decimal", decimal'
            "System.Guid", text "a GUID" (fun (value: Guid) -> string value) Guid.Parse
            "System.DateTime", text "a time in RFC 3339" (fun (value: DateTime) -> value.ToUniversalTime().ToString "o") instant
            "System.DateTimeOffset", text "a time in RFC 3339" (fun (value: DateTimeOffset) -> value.ToString "o") instantWithOffset
            "System.DateOnly", text "a date, such as 2030-12-31" (fun (value: DateOnly) -> value.ToString("o", Globalization.CultureInfo.InvariantCulture)) DateOnly.Parse
            "System.TimeOnly", text "a time of the day, such as 23:59:59" (fun (value: TimeOnly) -> value.ToString("o", Globalization.CultureInfo.InvariantCulture)) TimeOnly.Parse
            "System.TimeSpan", text "a duration, such as 1.02:30:00" (fun (value: TimeSpan) -> value.ToString("c", Globalization.CultureInfo.InvariantCulture)) TimeSpan.Parse
            "System.Object", { Encode = Js.plain; Decode = fun _ json -> json }
            // Whoever starts a function with nothing to tell may well tell it something.
            "Microsoft.FSharp.Core.Unit", { Encode = (fun _ -> null); Decode = fun _ _ -> box () }
        ]

    /// The arrays of JavaScript that Fable uses for arrays of numbers.
    let private typedArrays =
        dict [
            "System.SByte", "Int8Array"
            "System.Int16", "Int16Array"
            "System.UInt16", "Uint16Array"
            "System.Int32", "Int32Array"
            "System.UInt32", "Uint32Array"
            "System.Single", "Float32Array"
            "System.Double", "Float64Array"
        ]

    let private elements (inner: Conversion) place (json: obj) : obj[] =
        if Js.isArray json then
            Js.toArray json |> Array.mapi (fun index element -> inner.Decode (Element(place, index)) element)
        else
            fail place "an array" json

    let private collection (inner: Conversion) (make: obj[] -> obj) =
        { Encode = fun value -> unbox<obj seq> value |> Seq.map inner.Encode |> Seq.toArray |> box
          Decode = fun place json -> make (elements inner place json) }

    let private bytes =
        let element = simple.["System.Byte"]
        let base64 = text "a string in Base64" (fun (value: byte[]) -> Convert.ToBase64String value) Convert.FromBase64String
        { base64 with
            Decode =
                fun place json ->
                    if Js.isArray json then Js.toTypedArray "Uint8Array" (elements element place json) else base64.Decode place json }

    let private option (inner: Conversion) =
        { Encode =
            fun value ->
                match unbox<obj option> value with
                | Some value -> inner.Encode value
                | None -> null
          Decode = fun place json -> if isNull json then box None else box (Some(inner.Decode place json)) }

    /// The member of an object. Its name is written as in F#, or in another case, as is usual in other languages.
    let private memberOf (json: obj) (name: string) : obj =
        match json?(name) with
        | found when not (Js.isUndefined found) -> found
        | found ->
            match Js.keys json |> Array.tryFind (fun key -> key.ToLowerInvariant() = name.ToLowerInvariant()) with
            | Some key -> json?(key)
            | None -> found

    let private record (t: Type) (inner: Type -> Conversion) =
        let fields = FSharpType.GetRecordFields t |> Array.map (fun field -> field, inner field.PropertyType)
        { Encode =
            fun value -> createObj [ for field, inner in fields -> field.Name, inner.Encode(FSharpValue.GetRecordField(value, field)) ]
          Decode =
            fun place json ->
                if not (Js.isObject json) then fail place $"an object ({TypeName.of' t})" json
                let value (field: Reflection.PropertyInfo, inner: Conversion) =
                    inner.Decode (Member(place, field.Name)) (memberOf json field.Name)
                FSharpValue.MakeRecord(t, Array.map value fields) }

    let private tuple (t: Type) (inner: Type -> Conversion) =
        let inners = FSharpType.GetTupleElements t |> Array.map inner
        { Encode = fun value -> FSharpValue.GetTupleFields value |> Array.mapi (fun index part -> inners.[index].Encode part) |> box
          Decode =
            fun place json ->
                if not (Js.isArray json) || (Js.toArray json).Length <> inners.Length then
                    fail place $"an array of {inners.Length}" json
                Js.toArray json |> Array.mapi (fun index part -> inners.[index].Decode (Element(place, index)) part) |> box }

    let private union (t: Type) (inner: Type -> Conversion) =
        let cases =
            FSharpType.GetUnionCases t
            |> Array.map (fun case -> case, case.GetFields() |> Array.map (fun field -> inner field.PropertyType))
        let names = String.Join(", ", cases |> Array.map (fun (case, _) -> case.Name))
        let find place (name: obj) =
            match cases |> Array.tryFind (fun (case, _) -> box case.Name = name) with
            | Some found -> found
            | None -> fail place $"one of {names}" name
        let make place json (name: obj) (fields: obj) =
            let case, inners = find place name
            let fields = if Js.isNull fields then [||] else Js.toArray fields
            if fields.Length <> inners.Length then
                fail place $"the case {case.Name} with {inners.Length} fields" json
            let value index field = inners.[index].Decode (Element(Member(place, "Fields"), index)) field
            FSharpValue.MakeUnion(case, Array.mapi value fields)
        match cases with
        | [| case, [| only |] |] ->
            { Encode = fun value -> only.Encode (snd (FSharpValue.GetUnionFields(value, t))).[0]
              Decode = fun place json -> FSharpValue.MakeUnion(case, [| only.Decode place json |]) }
        | _ ->
            let isEnumeration = cases |> Array.forall (fun (_, inners) -> inners.Length = 0)
            let encode value =
                let case, fields = FSharpValue.GetUnionFields(value, t)
                let inners = cases |> Array.find (fun (other, _) -> other.Name = case.Name) |> snd
                if isEnumeration then
                    box case.Name
                elif inners.Length = 0 then
                    createObj [ "Case", box case.Name ]
                else
                    let fields = fields |> Array.mapi (fun index field -> inners.[index].Encode field)
                    createObj [ "Case", box case.Name; "Fields", box fields ]
            let decode place (json: obj) =
                match json with
                | :? string -> make place json json null
                | _ when not isEnumeration && Js.isObject json -> make place json json?Case json?Fields
                | _ -> fail place $"one of {names}" json
            { Encode = encode; Decode = decode }

    let private enum (t: Type) =
        let names = Enum.GetNames t
        let values = Js.toArray (Enum.GetValues t)
        let decode place (json: obj) =
            match json with
            | :? float -> json
            | _ ->
                match names |> Array.tryFindIndex (fun name -> box name = json) with
                | Some index -> values.[index]
                | None -> fail place (String.Join(", ", names) |> sprintf "a number, or one of %s") json
        { Encode = id; Decode = decode }

    let private isWhole (t: Type) =
        match t.FullName with
        | "System.SByte" | "System.Byte" | "System.Int16" | "System.UInt16" | "System.Int32" | "System.UInt32" -> true
        | _ -> false

    let private isText (t: Type) =
        match t.FullName with
        | "System.String" | "System.Guid" | "System.Char" -> true
        | _ -> FSharpType.IsUnion t && FSharpType.GetUnionCases t |> Array.forall (fun case -> case.GetFields().Length = 0)

    /// `entries` and `make` are those of the kind of map.
    let private map (key: Type) (inner: Type -> Conversion) (value: Conversion) (entries: obj -> (obj * obj)[]) (make: (obj * obj)[] -> obj) =
        let keys = inner key
        if isText key || isWhole key then
            let keyOf (name: string) = if isWhole key then box (Js.toNumber name) else box name
            { Encode = fun map -> createObj [ for key, item in entries map -> string (keys.Encode key), value.Encode item ]
              Decode =
                fun place json ->
                    if not (Js.isObject json) then fail place "an object" json
                    let entry name = keys.Decode (Member(place, name)) (keyOf name), value.Decode (Member(place, name)) json?(name)
                    Js.keys json |> Array.map entry |> make }
        else
            let pair = { Encode = (fun entry -> let key, item = unbox<obj * obj> entry in box [| keys.Encode key; value.Encode item |])
                         Decode =
                            fun place json ->
                                if not (Js.isArray json) || (Js.toArray json).Length <> 2 then fail place "a pair, as an array" json
                                let parts = Js.toArray json
                                box (keys.Decode (Element(place, 0)) parts.[0], value.Decode (Element(place, 1)) parts.[1]) }
            { Encode = fun map -> entries map |> Array.map (fun entry -> pair.Encode(box entry)) |> box
              Decode = fun place json -> elements pair place json |> Array.map unbox<obj * obj> |> make }

    /// `known` has the types around this one: a type may contain itself.
    let rec private build (known: (Type * Conversion Lazy) list) (t: Type) : Conversion =
        let inner = build known
        let argument index = (t.GetGenericArguments()).[index]
        match simple.TryGetValue t.FullName with
        | true, conversion -> conversion
        | false, _ when t.IsArray && t.GetElementType().FullName = "System.Byte" -> bytes
        | false, _ when t.IsArray ->
            match typedArrays.TryGetValue(t.GetElementType().FullName) with
            | true, name -> collection (inner (t.GetElementType())) (Js.toTypedArray name)
            | false, _ -> collection (inner (t.GetElementType())) box
        | false, _ when t.IsEnum -> enum t
        | false, _ when FSharpType.IsTuple t -> tuple t inner
        | false, _ ->
            match t.FullName.Split('`').[0] with
            | "Microsoft.FSharp.Core.FSharpOption"
            | "Microsoft.FSharp.Core.FSharpValueOption" -> option (inner (argument 0))
            | "Microsoft.FSharp.Collections.FSharpList" -> collection (inner (argument 0)) (List.ofArray >> box)
            | "System.Collections.Generic.IEnumerable" -> collection (inner (argument 0)) box
            | "Microsoft.FSharp.Collections.FSharpSet" ->
                collection (inner (argument 0)) (Array.map unbox<IComparable> >> Set.ofArray >> box)
            | "System.Collections.Generic.HashSet" ->
                collection (inner (argument 0)) (fun elements -> HashSet(Array.map unbox<IComparable> elements) |> box)
            | "Microsoft.FSharp.Collections.FSharpMap" ->
                let entries (map: obj) = unbox<Map<IComparable, obj>> map |> Map.toArray |> Array.map (fun (key, item) -> box key, item)
                map (argument 0) inner (inner (argument 1)) entries (Array.map (fun (key, item) -> unbox<IComparable> key, item) >> Map.ofArray >> box)
            | "System.Collections.Generic.Dictionary"
            | "System.Collections.Generic.IDictionary" ->
                let entries (map: obj) = [| for entry in unbox<Dictionary<obj, obj>> map -> entry.Key, entry.Value |]
                let make (entries: (obj * obj)[]) =
                    let made = Dictionary<obj, obj>()
                    for key, item in entries do made.[key] <- item
                    box made
                map (argument 0) inner (inner (argument 1)) entries make
            | _ when FSharpType.IsRecord t -> named known t record
            | _ when FSharpType.IsUnion t -> named known t union
            | _ ->
                let name = TypeName.of' t
                raise (DurableException("InvalidType", $"the type {name} has no form in JSON: use a record, a union, a list, a map or a simple type", retriable = false))

    and private named known (t: Type) make =
        match known |> List.tryFind (fun (other, _) -> other = t) with
        | Some(_, around) -> { Encode = (fun value -> around.Value.Encode value); Decode = fun place json -> around.Value.Decode place json }
        | None ->
            let mutable made = Unchecked.defaultof<Conversion>
            made <- make t (build ((t, lazy made) :: known))
            made

    let of' (t: Type) = build [] t

/// Converts values of one type to and from JSON.
[<Sealed>]
type Json<'T> internal (t: Type) =
    let conversion = Conversions.of' t

    /// What the type is called.
    member _.TypeName = TypeName.of' t

    /// The value as what `JSON.stringify` makes text of.
    member _.Encode(value: 'T) : obj = conversion.Encode(box value)

    /// The value of what `JSON.parse` has made. Throws a failure of the type `InvalidInput` if it does not fit; `what` is the
    /// document in its message, such as "the input of the activity 'reserve'".
    member this.Decode(what: string, json: obj) : 'T =
        try
            unbox (conversion.Decode Whole json)
        with Misfit.Misfit why ->
            raise (DurableException("InvalidInput", $"{what} does not fit the type {this.TypeName}: {why}", retriable = false))

[<AbstractClass; Sealed>]
type Json =
    /// The conversion of a type.
    static member ofType<'T>(t: Type) : Json<'T> = Json<'T>(t)

    /// The conversion of a type that is known where this is written.
    static member inline of'<'T>() : Json<'T> = Json.ofType<'T> typeof<'T>

    /// A value as a JSON text.
    static member inline stringify(value: 'T) : string = JS.JSON.stringify (Json.of'<'T>().Encode value)

    /// The value of a JSON text.
    static member inline parse<'T>(text: string) : 'T = Json.of'<'T>().Decode("the text", JS.JSON.parse text)
