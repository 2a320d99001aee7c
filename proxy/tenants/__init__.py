"""Who is calling, and what that tenant may use."""

from proxy.config_tenants import Tenant
from proxy.tenants.keys import new_key
from proxy.tenants.limits import Admission, Gatekeeper
from proxy.tenants.tenants import Tenants

__all__ = ["Admission", "Gatekeeper", "Tenant", "Tenants", "new_key"]
