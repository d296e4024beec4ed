"""What the graph of an export may be made of: nothing that a stock server lacks.

The rule. A stock TensorFlow Serving links TensorFlow's own operations and CPU kernels
(and TensorFlow Text's and Decision Forests', which are not used here). So every
operation of the graph and of its functions must be registered by `import tensorflow`
alone, have a kernel for CPU, and call back into no Python. `test_graph_ops.py` says so
of the list below, and whoever adds to it has looked whether the server has it.
"""

from tensorflow.core.protobuf import saved_model_pb2

ALLOWED = frozenset(
    """
    Abs AddV2 All Any ArgMax Assert AssignVariableOp AvgPool BatchMatMulV2 BiasAdd
    BroadcastTo Cast Ceil CombinedNonMaxSuppression ConcatV2 ConcatenateDataset Const
    Conv2D Conv2DBackpropInput CropAndResize Cumsum DatasetToSingleElement DecodeJpeg
    DecodeRaw DepthwiseConv2dNative DisableCopyOnRead DivNoNan Equal Exp ExpandDims
    ExtractJpegShape Fill Floor FloorDiv FloorMod GatherNd GatherV2 Greater GreaterEqual
    Identity IdentityN If IgnoreErrorsDataset InvertPermutation IsFinite Less LessEqual
    Log LogicalAnd LogicalOr LowerBound MapDataset MatMul Max MaxPool Maximum Mean
    MergeV2Checkpoints Min Minimum MirrorPad Mul Neg NoOp OneHot OptionsDataset Pack Pad
    PadV2 ParseExampleV2 PartitionedCall Placeholder Prod Range ReadVariableOp RealDiv
    Relu Relu6 Reshape ResizeBilinear RestoreV2 ReverseV2 Rsqrt SaveV2 ScaleAndTranslate
    Select SelectV2 Shape ShardedFilename Sigmoid Softmax Sqrt Square SquaredDifference
    Squeeze StatefulPartitionedCall StatelessIf StatelessWhile StaticRegexFullMatch
    StopGradient StridedSlice StringJoin StringLength StringSplitV2 Sub Substr Sum
    TakeDataset TensorDataset TensorListFromTensor TensorListGetItem TensorListReserve
    TensorListSetItem TensorListStack Tile TopKV2 Transpose Unpack UnsortedSegmentMax
    UpperBound VarHandleOp Where While ZerosLike
    """.split()
)


def operations(folder):
    """Returns the names of all operations of a SavedModel and of its functions."""
    return {node.op for node in nodes(folder)} - {
        function.signature.name for function in _graph(folder).library.function
    }


def nodes(folder):
    """Returns the nodes of a SavedModel and of its functions, list of NodeDef."""
    graph = _graph(folder)
    inner = [node for function in graph.library.function for node in function.node_def]
    return [*graph.node, *inner]


def assert_stock(folder):
    """Asserts that a SavedModel has only operations of the list."""
    new = operations(folder) - ALLOWED
    assert not new, (
        f"{folder} has operations that no export had: {sorted(new)}. If a stock "
        "server has them, add them to the list."
    )


def _graph(folder):
    contents = (folder / "saved_model.pb").read_bytes()
    [meta] = saved_model_pb2.SavedModel.FromString(contents).meta_graphs
    return meta.graph_def
