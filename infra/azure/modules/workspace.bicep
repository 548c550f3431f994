// Never deployed. The workspace, closed to the internet both ways, and the compute of the pipelines.
param location string
param workspace string
param workspaceStorageId string
param vaultId string
param registryId string
param insightsId string
param workspaceIdentityId string
param pipelinesIdentityId string
param deployerPrincipalId string
param readersGroupId string
param computeSize string
param computeNodes int
param subnetId string
param zoneIds object
param lakeId string
param buildHosts array

var azureMlDataScientist = 'f6c7c914-8db3-469d-8ca1-694a8f32e121'
var reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'

resource machineLearning 'Microsoft.MachineLearningServices/workspaces@2025-06-01' = {
  name: workspace
  location: location
  sku: {
    name: 'Basic'
    tier: 'Basic'
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${workspaceIdentityId}': {}
    }
  }
  properties: {
    friendlyName: workspace
    storageAccount: workspaceStorageId
    keyVault: vaultId
    containerRegistry: registryId
    applicationInsights: insightsId
    primaryUserAssignedIdentity: workspaceIdentityId
    systemDatastoresAuthMode: 'Identity'
    publicNetworkAccess: 'Disabled'
    v1LegacyMode: false
    imageBuildCompute: 'segengine'
    managedNetwork: {
      isolationMode: 'AllowOnlyApprovedOutbound'
      outboundRules: {
        lake: {
          type: 'PrivateEndpoint'
          destination: {
            serviceResourceId: lakeId
            subresourceTarget: 'dfs'
            sparkEnabled: false
          }
        }
        lakeBlob: {
          type: 'PrivateEndpoint'
          destination: {
            serviceResourceId: lakeId
            subresourceTarget: 'blob'
            sparkEnabled: false
          }
        }
      }
    }
  }
}

// The image of the components is built on the compute, from the package sources that the locks name.
resource packages 'Microsoft.MachineLearningServices/workspaces/outboundRules@2025-06-01' = [for (host, index) in buildHosts: {
  parent: machineLearning
  name: 'packages${index}'
  properties: {
    type: 'FQDN'
    category: 'UserDefined'
    destination: host
  }
}]

resource compute 'Microsoft.MachineLearningServices/workspaces/computes@2025-06-01' = {
  parent: machineLearning
  name: 'segengine'
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${pipelinesIdentityId}': {}
    }
  }
  properties: {
    computeType: 'AmlCompute'
    disableLocalAuth: true
    properties: {
      vmSize: computeSize
      vmPriority: 'Dedicated'
      enableNodePublicIp: false
      remoteLoginPortPublicAccess: 'Disabled'
      scaleSettings: {
        minNodeCount: 0
        maxNodeCount: computeNodes
        nodeIdleTimeBeforeScaleDown: 'PT10M'
      }
    }
  }
}

module endpoint 'private_endpoint.bicep' = {
  name: 'pe-workspace'
  params: {
    location: location
    name: 'pe-${workspace}'
    targetId: machineLearning.id
    group: 'amlworkspace'
    subnetId: subnetId
    zones: [zoneIds.api, zoneIds.notebooks]
  }
}

// CI alone registers and submits. People read: an approval that CI hands in is more than a claim for that reason.
resource deployerRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: machineLearning
  name: guid(machineLearning.id, deployerPrincipalId, azureMlDataScientist)
  properties: {
    principalId: deployerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', azureMlDataScientist)
  }
}

resource readersRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(readersGroupId)) {
  scope: machineLearning
  name: guid(machineLearning.id, readersGroupId, reader)
  properties: {
    principalId: readersGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', reader)
  }
}

output workspaceId string = machineLearning.id
