import subprocess
import sys

CODE = """
import sys
import models.catalogue, models.discovery, models.litellm_gateway, models.price_map, models.probe
import models.recording, models.resilience, models.scripted, models.selection, models.structured
print(sorted({"litellm", "openai", "httpx", "tiktoken", "aiohttp"} & set(sys.modules)))
"""


def test_importing_the_models_loads_no_provider_library():
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
