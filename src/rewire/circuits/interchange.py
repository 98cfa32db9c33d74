"""Circuits and scores as files: our safetensors, and the JSON and .pt of the published EAP-IG library."""

from rewire.circuits.eap_json import read_eap_json, write_eap_json
from rewire.circuits.eap_pt import read_eap_pt, write_eap_pt
from rewire.circuits.scores_file import read_scores, write_scores

__all__ = ["read_eap_json", "read_eap_pt", "read_scores", "write_eap_json", "write_eap_pt", "write_scores"]
