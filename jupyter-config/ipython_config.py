# Loads omniduct in every notebook and IPython session of an environment, with the ducts of your team.
#
# Copy this file and ducts.yaml to  <environment>/etc/ipython/  (python -c "import sys; print(sys.prefix)"
# names the environment), or for yourself alone to  ~/.ipython/profile_default/ . A person's own profile comes
# after the environment's, and overrides it key by key.
from pathlib import Path

c = get_config()

c.InteractiveShellApp.extensions = ["omniduct"]

# The ducts, from files; ~ is the home of whoever runs the notebook. Without this key omniduct reads the file
# that the environment variable OMNIDUCT_CONFIG names, or ~/.omniduct/config.
c.DuctRegistry.config_files = [str(Path(__file__).with_name("ducts.yaml"))]

# The ducts, right here, instead of in files or besides them: any shape that the YAML may have, too.
# c.DuctRegistry.ducts = {"databases": {"scratch": {"protocol": "duckdb"}}}

# Whether ducts get magics (%%warehouse), and whether they become variables (warehouse). Both are the default.
c.DuctRegistry.register_magics = True
c.DuctRegistry.populate_namespace = True

# A default for an argument of a class, and of those below it; what an entry says itself comes first.
c.DuckDBClient.config = {"threads": 4}
# c.PrestoClient.verify = "/etc/ssl/company-ca.pem"  # of every Presto and Trino
# c.SSHClient.keepalive = 5  # seconds, of every remote of protocol ssh; OpenSSHClient is ssh_cli
