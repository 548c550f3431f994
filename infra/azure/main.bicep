// Never deployed. Parsed and asserted by tests/pure/test_azure_infra.py; nothing here has met a subscription.
//
// One workspace with what it needs, reached over private endpoints only: lake (hierarchical storage), storage of the
// workspace, key vault, container registry, insights, network, identities and the roles they need and no others.
//
//   az deployment group create -g <resource_group> -f infra/azure/main.bicep -p @<rendered>/infra.parameters.json
//     -p githubRepository=<owner>/<repository> githubEnvironment=<environment>
targetScope = 'resourceGroup'

@description('Where everything lies.')
param location string

@description('Name of the Azure Machine Learning workspace; other names follow from it.')
@minLength(3)
@maxLength(30)
param workspace string

@description('Name of the lake, a storage account: lower-case letters and digits.')
@minLength(3)
@maxLength(22)
param storageAccount string

@description('Size of the nodes that the pipelines run on.')
param computeSize string

@description('Most nodes at a time; none are kept.')
@minValue(1)
param computeNodes int

@description('Repository whose workflows may act here, as owner/name; no other can take the identity.')
param githubRepository string

@description('Protected environment of that repository, such as prod.')
param githubEnvironment string

@description('Object id of the group of people who look at results; empty for none.')
param readersGroupId string = ''

@description('Hosts that an image build may reach: your package index, JAR repository and Debian mirror.')
param buildHosts array = []

@description('Address range of the network.')
param addressRange string = '10.60.0.0/16'

module network 'modules/network.bicep' = {
  name: 'network'
  params: {
    location: location
    workspace: workspace
    addressRange: addressRange
  }
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  params: {
    location: location
    workspace: workspace
    githubRepository: githubRepository
    githubEnvironment: githubEnvironment
  }
}

module stores 'modules/stores.bicep' = {
  name: 'stores'
  params: {
    location: location
    workspace: workspace
    storageAccount: storageAccount
    subnetId: network.outputs.endpointsSubnetId
    zoneIds: network.outputs.zoneIds
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  params: {
    lakeName: stores.outputs.lakeName
    workspaceStorageName: stores.outputs.workspaceStorageName
    vaultName: stores.outputs.vaultName
    registryName: stores.outputs.registryName
    pipelinesPrincipalId: identities.outputs.pipelinesPrincipalId
    workspacePrincipalId: identities.outputs.workspacePrincipalId
    deployerPrincipalId: identities.outputs.deployerPrincipalId
    readersGroupId: readersGroupId
  }
}

module machineLearning 'modules/workspace.bicep' = {
  name: 'workspace'
  params: {
    location: location
    workspace: workspace
    workspaceStorageId: stores.outputs.workspaceStorageId
    vaultId: stores.outputs.vaultId
    registryId: stores.outputs.registryId
    insightsId: stores.outputs.insightsId
    workspaceIdentityId: identities.outputs.workspaceIdentityId
    pipelinesIdentityId: identities.outputs.pipelinesIdentityId
    deployerPrincipalId: identities.outputs.deployerPrincipalId
    readersGroupId: readersGroupId
    computeSize: computeSize
    computeNodes: computeNodes
    subnetId: network.outputs.endpointsSubnetId
    zoneIds: network.outputs.zoneIds
    lakeId: stores.outputs.lakeId
    buildHosts: buildHosts
  }
  dependsOn: [
    roles
  ]
}

output deployerClientId string = identities.outputs.deployerClientId
output runnersSubnetId string = network.outputs.runnersSubnetId
