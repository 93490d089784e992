"""A small model server for this machine: TensorFlow Serving's REST and gRPC interfaces, for `socialmd-tf serve`.

source.py says which versions of which models are served, models.py loads and runs them. rest_server.py (with
json_format.py) and grpc_server.py answer requests. Begin with models.py.
"""
