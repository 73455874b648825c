module JsonTests

open System
open Dacapo
open Dacapo.Testing
open Types

/// The message with which reading a text fails.
let inline misfit<'T> (text: string) =
    try
        Json.parse<'T> text |> ignore
        "it fits"
    with :? DurableError as error ->
        equal "InvalidInput" error.ErrorType
        error.Message

let inline doesNotFit<'T> (text: string) (why: string) = equal $"the text does not fit the type {why}" (misfit<'T> text)

test "values of all types" (fun () ->
    async {
        equal everythingAsJson (Json.stringify everything)
        let read: Everything = Json.parse everythingAsJson
        equal everythingAsJson (Json.stringify read)
        equal (everything.Time, everything.TimeWithOffset, everything.ByPair) (read.Time, read.TimeWithOffset, read.ByPair)
        equal (everything.Shapes, everything.Result, everything.Page) (read.Shapes, read.Result, read.Page)
        equal (everything.Long, everything.Exact, everything.Huge) (read.Long, read.Exact, read.Huge)
        equal true (read.Numbers = everything.Numbers && read.Set = everything.Set && read.Anonymous = everything.Anonymous)
    })

test "other forms that are read" (fun () ->
    async {
        equal { Items = [ 1 ]; Next = None } (Json.parse<Page<int>> """{"items":[1],"unknown":true}""")
        equal Nothing (Json.parse<Shape> "\"Nothing\"")
        equal DayOfWeek.Friday (Json.parse<DayOfWeek> "\"Friday\"")
        equal (DateTime(2030, 1, 2, 0, 0, 0, DateTimeKind.Utc)) (Json.parse<DateTime> "\"2030-01-02\"")
        equal (DateTime(2030, 1, 2, 3, 4, 5, DateTimeKind.Utc)) (Json.parse<DateTime> "\"2030-01-02T03:04:05\"")
        equal (DateTime(2030, 1, 2, 3, 4, 5, DateTimeKind.Utc)) (Json.parse<DateTime> "\"2030-01-02T05:04:05.0000000+02:00\"")
        equal () (Json.parse<unit> "17")
        equal 9007199254740993L (Json.parse<int64> "\"9007199254740993\"")
    })

test "what does not fit is named, with its type and place" (fun () ->
    async {
        doesNotFit<Page<Tree>> """{"items":[{"value":1,"children":[{"value":"x"}]}]}""" "Page<Tree>: .Items[0].Children[0].Value is \"x\", and must be an integer (int)"
        doesNotFit<Page<Tree>> """{"items":[{"value":1}]}""" "Page<Tree>: .Items[0].Children is missing, and must be an array"
        doesNotFit<Page<Tree>> "[]" "Page<Tree>: it is [], and must be an object (Page<Tree>)"
        doesNotFit<Color> "\"Blue\"" "Color: it is \"Blue\", and must be one of Red, Green"
        doesNotFit<Shape> """{"Case":"Circle"}""" "Shape: it is {\"Case\":\"Circle\"}, and must be the case Circle with 1 fields"
        doesNotFit<Shape> """{"Case":"Rectangle","Fields":[1,1.5]}""" "Shape: .Fields[1] is 1.5, and must be an integer (int)"
        doesNotFit<int> "null" "int: it is null, and must be an integer (int)"
        doesNotFit<byte> "256" "byte: it is 256, and must be an integer (byte)"
        doesNotFit<int64> "\"9223372036854775808\"" "int64: it is \"9223372036854775808\", and must be an integer (int64)"
        doesNotFit<DateTime> "\"soon\"" "DateTime: it is \"soon\", and must be a time in RFC 3339"
        doesNotFit<Guid> "\"x\"" "Guid: it is \"x\", and must be a GUID"
        doesNotFit<{| A: int |}> "{}" "{| A: int |}: .A is missing, and must be an integer (int)"
        doesNotFit<Map<int, string>> """{"a":"b"}""" "Map<int, string>: .a is null, and must be an integer (int)"
        doesNotFit<Result<int, string>> """{"Case":"Ok","Fields":["x"]}""" "Result<int, string>: .Fields[0] is \"x\", and must be an integer (int)"
        doesNotFit<int * string> "[1]" "int * string: it is [1], and must be an array of 2"
        doesNotFit<string list> "{}" "string list: it is {}, and must be an array"
    })

test "a type that has no form in JSON is refused when a function is defined" (fun () ->
    async {
        let message =
            try
                Activity.define "bad" (fun (f: int -> string) -> f 1) |> ignore
                "it was defined"
            with :? DurableError as error ->
                error.Message
        equal "the type int -> string has no form in JSON: use a record, a union, a list, a map or a simple type" message
    })
