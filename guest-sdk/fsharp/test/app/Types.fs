module Types

open System
open System.Collections.Generic

type Color =
    | Red
    | Green

type OrderId = OrderId of string

type Shape =
    | Circle of radius: float
    | Rectangle of width: int * height: int
    | Nothing

type Tree = { Value: int; Children: Tree list }

type Page<'T> = { Items: 'T list; Next: string option }

type Everything =
    { Id: OrderId
      Color: Color
      Shapes: Shape list
      Optional: int option
      Absent: string option
      Time: DateTime
      TimeWithOffset: DateTimeOffset
      Duration: TimeSpan
      Date: DateOnly
      TimeOfDay: TimeOnly
      ByName: Map<string, int>
      ByNumber: Map<int, string>
      ByColor: Map<Color, int>
      ByPair: Map<int * int, string>
      Long: int64
      Longest: uint64
      Exact: decimal
      Huge: bigint
      Guid: Guid
      Letter: char
      Bytes: byte[]
      Numbers: int[]
      Halves: float[]
      Result: Result<int, string>
      Set: Set<int>
      Sequence: seq<int>
      List: ResizeArray<string>
      Dictionary: Dictionary<string, Color>
      HashSet: HashSet<int>
      Day: DayOfWeek
      Unit: unit
      Anonymous: {| X: int; Y: string |}
      Tuple: int * string * bool
      Page: Page<Tree>
      Value: int voption
      Any: obj }

let everything =
    let dictionary = Dictionary<string, Color>()
    dictionary.["k"] <- Red
    { Id = OrderId "a"
      Color = Green
      Shapes = [ Circle 1.5; Rectangle(1, 2); Nothing ]
      Optional = Some 3
      Absent = None
      Time = DateTime(2030, 1, 2, 3, 4, 5, DateTimeKind.Utc)
      TimeWithOffset = DateTimeOffset(2030, 1, 2, 3, 4, 5, TimeSpan.FromHours 2)
      Duration = TimeSpan(1, 2, 3, 4)
      Date = DateOnly(2030, 12, 31)
      TimeOfDay = TimeOnly(23, 59, 58)
      ByName = Map [ "a", 1; "b", 2 ]
      ByNumber = Map [ 3, "x" ]
      ByColor = Map [ Red, 1 ]
      ByPair = Map [ (1, 2), "p" ]
      Long = 9007199254740993L
      Longest = 5UL
      Exact = 1.10M
      Huge = bigint 12
      Guid = Guid.Parse "00000000-0000-0000-0000-0000000000ff"
      Letter = 'c'
      Bytes = [| 1uy; 2uy; 255uy |]
      Numbers = [| 1; 2 |]
      Halves = [| 0.5 |]
      Result = Error "no"
      Set = Set [ 2; 1 ]
      Sequence = seq { 1..3 }
      List = ResizeArray [ "q" ]
      Dictionary = dictionary
      HashSet = HashSet [ 7 ]
      Day = DayOfWeek.Friday
      Unit = ()
      Anonymous = {| X = 1; Y = "y" |}
      Tuple = 1, "a", true
      Page = { Items = [ { Value = 1; Children = [ { Value = 2; Children = [] } ] } ]; Next = None }
      Value = ValueSome 4
      Any = box [| 1; 2 |] }

let everythingAsJson =
    """{"Id":"a","Color":"Green","""
    + """"Shapes":[{"Case":"Circle","Fields":[1.5]},{"Case":"Rectangle","Fields":[1,2]},{"Case":"Nothing"}],"""
    + """"Optional":3,"Absent":null,"Time":"2030-01-02T03:04:05.000Z","TimeWithOffset":"2030-01-02T03:04:05.000+02:00","""
    + """"Duration":"1.02:03:04","Date":"2030-12-31","TimeOfDay":"23:59:58.0000000","""
    + """"ByName":{"a":1,"b":2},"ByNumber":{"3":"x"},"ByColor":{"Red":1},"ByPair":[[[1,2],"p"]],"""
    + """"Long":"9007199254740993","Longest":5,"Exact":1.1,"Huge":12,"Guid":"00000000-0000-0000-0000-0000000000ff","""
    + """"Letter":"c","Bytes":"AQL/","Numbers":[1,2],"Halves":[0.5],"Result":{"Case":"Error","Fields":["no"]},"""
    + """"Set":[1,2],"Sequence":[1,2,3],"List":["q"],"Dictionary":{"k":"Red"},"HashSet":[7],"Day":5,"Unit":null,"""
    + """"Anonymous":{"X":1,"Y":"y"},"Tuple":[1,"a",true],"""
    + """"Page":{"Items":[{"Value":1,"Children":[{"Value":2,"Children":[]}]}],"Next":null},"Value":4,"Any":[1,2]}"""
