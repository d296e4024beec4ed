"""The signatures of a served model, as TensorFlow Serving describes them."""

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

SIGNATURES = "signature_def"


def signature_map(model):
    """Returns the signatures of a `ServedModel` as a SignatureDefMap."""
    return get_model_metadata_pb2.SignatureDefMap(signature_def=model.signature_defs)


def metadata_json(model):
    """Returns the answer to REST's question for the metadata, a dict."""
    signatures = json_format.MessageToDict(
        signature_map(model),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    spec = {"name": model.name, "signature_name": "", "version": str(model.version)}
    return {"model_spec": spec, "metadata": {SIGNATURES: signatures}}
