// Never deployed. What a workspace needs beside it: lake, its own storage, vault, registry, insights; all private.
param location string
param workspace string
param storageAccount string
param subnetId string
param zoneIds object

var short = uniqueString(resourceGroup().id, workspace)

// The lake: hierarchical, so that a rename is one step.
resource lake 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: storageAccount
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_ZRS'
  }
  properties: {
    isHnsEnabled: true
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    defaultToOAuthAuthentication: true
    publicNetworkAccess: 'Disabled'
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    networkAcls: {
      bypass: 'None'
      defaultAction: 'Deny'
    }
  }
}

resource lakeServices 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: lake
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: 14
    }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: lakeServices
  name: 'lake'
  properties: {
    publicAccess: 'None'
  }
}

// A workspace keeps its own files in an account without hierarchy; it does not take the lake for that.
resource workspaceStorage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: '${storageAccount}ml'
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_ZRS'
  }
  properties: {
    isHnsEnabled: false
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    defaultToOAuthAuthentication: true
    publicNetworkAccess: 'Disabled'
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Deny'
    }
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: 'kv-${take(short, 13)}'
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    publicNetworkAccess: 'Disabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Deny'
    }
  }
}

// Private endpoints of a registry need Premium.
resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' = {
  name: 'cr${short}'
  location: location
  sku: {
    name: 'Premium'
  }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    publicNetworkAccess: 'Disabled'
    networkRuleBypassOptions: 'AzureServices'
  }
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-${workspace}'
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 90
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${workspace}'
  location: location
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
    DisableLocalAuth: true
  }
}

module lakeDfs 'private_endpoint.bicep' = {
  name: 'pe-lake-dfs'
  params: {
    location: location
    name: 'pe-${storageAccount}-dfs'
    targetId: lake.id
    group: 'dfs'
    subnetId: subnetId
    zones: [zoneIds.dfs]
  }
}

module lakeBlob 'private_endpoint.bicep' = {
  name: 'pe-lake-blob'
  params: {
    location: location
    name: 'pe-${storageAccount}-blob'
    targetId: lake.id
    group: 'blob'
    subnetId: subnetId
    zones: [zoneIds.blob]
  }
}

module storageBlob 'private_endpoint.bicep' = {
  name: 'pe-workspace-blob'
  params: {
    location: location
    name: 'pe-${storageAccount}ml-blob'
    targetId: workspaceStorage.id
    group: 'blob'
    subnetId: subnetId
    zones: [zoneIds.blob]
  }
}

module storageFile 'private_endpoint.bicep' = {
  name: 'pe-workspace-file'
  params: {
    location: location
    name: 'pe-${storageAccount}ml-file'
    targetId: workspaceStorage.id
    group: 'file'
    subnetId: subnetId
    zones: [zoneIds.file]
  }
}

module vaultEndpoint 'private_endpoint.bicep' = {
  name: 'pe-vault'
  params: {
    location: location
    name: 'pe-${vault.name}'
    targetId: vault.id
    group: 'vault'
    subnetId: subnetId
    zones: [zoneIds.vault]
  }
}

module registryEndpoint 'private_endpoint.bicep' = {
  name: 'pe-registry'
  params: {
    location: location
    name: 'pe-${registry.name}'
    targetId: registry.id
    group: 'registry'
    subnetId: subnetId
    zones: [zoneIds.registry]
  }
}

output lakeId string = lake.id
output lakeName string = lake.name
output workspaceStorageId string = workspaceStorage.id
output workspaceStorageName string = workspaceStorage.name
output vaultId string = vault.id
output vaultName string = vault.name
output registryId string = registry.id
output registryName string = registry.name
output insightsId string = insights.id
